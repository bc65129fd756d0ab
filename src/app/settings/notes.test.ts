import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ConfigFlags, formatProblem, loadConfig } from '../../config/index.ts';
import { notesOf } from './notes.ts';
import { composeRegistries } from './registries.ts';
import { cacheOptionsOf } from './server.ts';

const text = `
cache:
  pin: [nginx:latest, dokcer.io/library/nginx]
  tags: {rules: [{match: alpine, fresh_for: 1h}, {match: Alpine, fresh_for: 1h}]}`;
const loaded = await loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text } });
const catalogue = composeRegistries(loaded.config);

describe('patterns of the configuration', () => {
  test('are qualified as those of purge are', () => {
    const { pin, tags } = cacheOptionsOf(loaded.config, catalogue);
    assert.deepEqual(pin, ['docker.io/library/nginx:latest', 'dokcer.io/library/nginx:*']);
    assert.ok(tags !== 'never');
    assert.equal(tags?.rules?.[0]?.match, 'docker.io/library/alpine:*');
  });

  test('are noted with their place where they match nothing', () => {
    assert.deepEqual(notesOf(loaded, catalogue).map(formatProblem), [
      'ENTREPOT_CONFIG:3:23  cache.pin[1]: "dokcer.io/library/nginx" matches nothing: this server has no registry dokcer.io; did you mean docker.io?',
      'ENTREPOT_CONFIG:4:51  cache.tags.rules[1].match: "Alpine" matches nothing: "Alpine" names no image: names of repositories are in lower case',
    ]);
    assert.deepEqual(notesOf(loaded, undefined), []);
  });
});

describe('rules for pushes that cannot be meant', () => {
  const rows: readonly (readonly [text: string, ...notes: RegExp[]])[] = [
    [
      'access: {rules: [{who: alice, may: [pull, push, delete], on: [ghcr.io/ours/**, docker.io/acme/**]}]}',
      /^ENTREPOT_CONFIG:1:\d+ {2}access\.rules\[0\]\.on\[0\]: no repository of ghcr\.io\/ours\/\*\* is hosted here or pushed through, so the rule allows no push and no delete there\. Set hosted/,
    ],
    ['access: {rules: [{who: alice, may: [pull, push], on: ["**"]}]}'],
    ['access: {rules: [{who: alice, may: [pull, push], on: [apps/**, index.docker.io/acme/app]}]}'],
    [
      'access: {rules: [{who: alice, may: [push], on: [apps/web]}]}',
      /access\.rules\[0\]\.may: alice may push and not pull, .*Write may: \[pull, push\]/,
    ],
    [
      'access: {rules: [{who: alice, may: [push], on: [apps/web]}, {who: anonymous, may: [pull], on: ["**"]}]}',
      /may push and not pull/,
    ],
    ['access: {rules: [{who: alice, may: [push], on: [apps/web]}, {who: alice, may: [pull], on: ["apps/**"]}]}'],
    [
      'access: {groups: {g: [alice]}, rules: [{who: alice, may: [push], on: [apps/a]}, {who: "@g", may: [pull], on: ["**"]}]}',
    ],
    [
      'access: {rules: [{who: alice, may: [push], on: [apps/web]}, {who: anonymous, may: [pull], on: ["apps/**"], private: true}]}',
    ],
  ];
  const registries = 'registries: {apps: {hosted: true}, docker.io: {hosted: [acme/**]}}';
  const forAnonymous: readonly (readonly [on: string, ...notes: RegExp[]])[] = [
    ['["apps/**"]', /on\[0\]: apps\/\*\* is hosted here, and so private: .*Write private: true/],
    ['[docker.io/library/nginx, docker.io/acme/app]', /on\[1\]: docker\.io\/acme\/app is hosted here/],
    ['["**", "docker.io/**"]'],
    ['["apps/**"], private: true'],
  ];
  for (const [on, ...expected] of forAnonymous) {
    test(`and a rule by which anonymous is to pull ${on}`, async () => {
      const notes = await notesOn(`access: {rules: [{who: anonymous, may: [pull], on: ${on}}]}\n${registries}`);
      assert.equal(notes.length, expected.length, notes.join('\n'));
      for (const [at, note] of expected.entries()) assert.match(notes[at] ?? '', note);
    });
  }

  const ofRegistries: readonly (readonly [text: string, ...notes: RegExp[]])[] = [
    [
      'docker.io: {hosted: [ghcr.io/acme/**]}',
      /hosted\[0\]: ghcr\.io\/acme\/\*\* is read as a repository of docker\.io.* put acme\/\*\* under registries\["ghcr\.io"\]$/,
    ],
    ['docker.io: {hosted: [docker.io/acme/**, index.docker.io/ours/app]}'],
    [
      'docker.io: {hosted: [acme, library/nginx, "**/x"]}',
      /hosted\[0\]: acme is read as the one repository library\/acme\. Write acme\/\*\* /,
    ],
    ['ghcr.io: {hosted: [acme]}'],
    ['ghcr.io: {push: [quay.io/ours/**]}', /registries\["ghcr\.io"\]\.push\[0\]: quay\.io/],
    ['apps: {hosted: true, immutable_tags: ["v*", "web:v*", "apps/team/web:stable", "**/db:v*"]}'],
    [
      'docker.io: {hosted: [acme/**], immutable_tags: ["v*", "acme/web:v*", "team/web:v*"]}',
      /immutable_tags\[2\]: team\/web:v\* has no effect: nothing is pushed to team\/web of this registry/,
    ],
  ];
  for (const [text, ...expected] of ofRegistries) {
    test(`and patterns of another registry, or of no repository that is pushed: ${text}`, async () => {
      const notes = await notesOn(
        `access: {rules: [{who: alice, may: [pull, push], on: ["**"]}]}\nregistries: {${text}}`,
      );
      assert.equal(notes.length, expected.length, notes.join('\n'));
      for (const [at, note] of expected.entries()) assert.match(notes[at] ?? '', note);
    });
  }

  for (const [text, ...expected] of rows) {
    test(text, async () => {
      const notes = await notesOn(`${text}\n${registries}`);
      assert.equal(notes.length, expected.length, notes.join('\n'));
      for (const [at, note] of expected.entries()) assert.match(notes[at] ?? '', note);
    });
  }

  test('and a public registry of which nothing is pulled any more', async () => {
    const [note = '', ...more] = await notesOn(
      'access: {rules: [{who: alice, may: [pull, push], on: ["**"]}]}\nregistries: {ghcr.io: {hosted: true}}',
    );
    assert.deepEqual(more, []);
    assert.match(
      note,
      /:2:\d+ {2}registries\["ghcr\.io"\]\.hosted: every repository of ghcr\.io is hosted here, .*\[acme/,
    );
  });
});

describe('a rule of tags behind one that matches all of its tags', () => {
  const rules = (...matches: readonly string[]): string =>
    `cache: {tags: {rules: [${matches.map((match) => `{match: "${match}", fresh_for: 1h}`).join(', ')}]}}`;
  const rows: readonly (readonly [matches: readonly string[], covered: number, by: number])[] = [
    [['**', 'docker.io/library/*:latest'], 1, 0],
    [['ghcr.io/**', 'docker.io/library/nginx', 'nginx:latest'], 2, 1],
    [['nginx', 'nginx'], 1, 0],
  ];
  for (const [matches, covered, by] of rows) {
    test(`${matches.join(', ')} is noted with its place and the remedy`, async () => {
      const [note = '', ...more] = await notesOn(rules(...matches));
      assert.deepEqual(more, []);
      assert.match(
        note,
        new RegExp(`cache\\.tags\\.rules\\[${covered}\\]: it has no effect: rules\\[${by}\\], .*Put it before`),
      );
    });
  }
  test('counts for each key alone', async () => {
    const noted = (...rules: readonly string[]) => notesOn(`cache: {tags: {rules: [${rules.join(', ')}]}}`);
    assert.deepEqual(await noted('{match: "**", fresh_for: 1h}', '{match: nginx, cooldown: 7d}'), []);
    assert.deepEqual(await noted('{match: "**", fresh_for: 1h}', '{match: nginx, fresh_for: 1m, cooldown: 7d}'), []);
    const [note = '', ...more] = await noted(
      '{match: "**", fresh_for: 1h}',
      '{match: "docker.io/**", cooldown: 1d}',
      '{match: nginx, fresh_for: 1m, cooldown: 7d}',
    );
    assert.deepEqual(more, []);
    assert.match(note, /cache\.tags\.rules\[2\]: it has no effect: rules\[0\], "\*\*", matches every tag/);
    const [empty = ''] = await noted('{match: nginx}');
    assert.match(empty, /cache\.tags\.rules\[0\]: it has no effect: it sets neither fresh_for nor cooldown$/);
  });
  test('is no note in the order that is meant', async () => {
    assert.deepEqual(await notesOn(rules('docker.io/library/*:latest', 'docker.io/**', '**')), []);
  });
});

describe('names that are one typing error away from a known registry', () => {
  const rows: readonly (readonly [text: string, note: string])[] = [
    [
      'registries: {dokcer.io: }',
      'ENTREPOT_CONFIG:1:14  registries["dokcer.io"]: "dokcer.io" is no known registry; did you mean docker.io?',
    ],
    [
      'registries: {ghrc.io: }',
      'ENTREPOT_CONFIG:1:14  registries["ghrc.io"]: "ghrc.io" is no known registry; did you mean ghcr.io?',
    ],
    [
      'registries: {quay.oi: }',
      'ENTREPOT_CONFIG:1:14  registries["quay.oi"]: "quay.oi" is no known registry; did you mean quay.io?',
    ],
    [
      'forward_proxy: {enabled: true, allowed_hosts: [docker.oi]}',
      'ENTREPOT_CONFIG:1:48  forward_proxy.allowed_hosts[0]: "docker.oi" is no known registry; did you mean docker.io?',
    ],
  ];
  for (const [text, note] of rows) test(text, async () => assert.deepEqual(await notesOn(text), [note]));
  for (const name of ['lscr.io', 'docker.example.com', 'ghcr.io', 'registry-1.docker.io', 'apps.io']) {
    test(`not ${name}`, async () => assert.deepEqual(await notesOn(`registries: {${name}: }`), []));
  }
});

describe('a cache that a later layer turns on', () => {
  const off = { ENTREPOT_CONFIG: 'cache: off' };
  test('by a flag is noted', async () => {
    const [note] = await notesIn({ env: off, flags: { cacheDir: '/x' } });
    assert.equal(
      note,
      '--cache-dir  cache: turns the cache on, which ENTREPOT_CONFIG:1:1 has off: remove one of the two',
    );
  });
  test('by a variable is noted', async () => {
    const [note] = await notesIn({ env: { ...off, ENTREPOT_CACHE__MAX_SIZE: '5GB' } });
    assert.match(note ?? '', /^ENTREPOT_CACHE__MAX_SIZE {2}cache: turns the cache on/);
  });
  test('is no note where the file has it on, or the later layer turns it off', async () => {
    assert.deepEqual(
      await notesIn({ env: { ENTREPOT_CONFIG: 'cache: {max_size: 5GB}' }, flags: { cacheDir: '/x' } }),
      [],
    );
    assert.deepEqual(
      await notesIn({ env: { ENTREPOT_CONFIG: 'cache: {max_size: 5GB}' }, flags: { cache: false } }),
      [],
    );
  });
});

async function notesIn({ env, flags = {} }: { env: Record<string, string>; flags?: ConfigFlags }) {
  const read = await loadConfig({ cwd: '/', env: { HOME: '/nowhere', ...env }, flags });
  return notesOf(read, composeRegistries(read.config)).map(formatProblem);
}

const notesOn = (text: string) => notesIn({ env: { ENTREPOT_CONFIG: text } });
