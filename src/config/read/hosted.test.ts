import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError, formatProblem } from '../problems.ts';
import { loadConfig } from './load.ts';
import { findNotes } from './notes.ts';

const load = (text: string) => loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text } });

async function problemsOf(text: string): Promise<readonly string[]> {
  try {
    await load(text);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(formatProblem);
  }
}

async function notesOn(text: string): Promise<readonly string[]> {
  const { config, settings } = await load(text);
  return findNotes(config, settings).map(formatProblem);
}

describe('hosted repositories are read', () => {
  const hostedOf = async (text: string) => (await load(`registries: {apps: {${text}}}`)).config.registries['apps'];

  test('true is every repository, false none, and a list some of them', async () => {
    assert.deepEqual((await hostedOf('hosted: true'))?.hosted, ['**']);
    assert.deepEqual((await hostedOf('hosted: false, upstreams: ["https://a.example"]'))?.hosted, []);
    assert.deepEqual((await hostedOf('hosted: [acme/**], upstreams: ["https://a.example"]'))?.hosted, ['acme/**']);
  });

  test('bytes and time are numbers', async () => {
    const { quota, keepUntagged, sparse, immutableTags } =
      (await hostedOf('hosted: true, quota: 50GB, keep_untagged: 30d, sparse: true, immutable_tags: ["v*"]')) ?? {};
    assert.deepEqual(
      { quota, keepUntagged, sparse, immutableTags },
      {
        quota: 50e9,
        keepUntagged: 30 * 24 * 3600_000,
        sparse: true,
        immutableTags: ['v*'],
      },
    );
  });
});

describe('what cannot be meant is a problem with its place and remedy', () => {
  const rows: readonly (readonly [text: string, ...problems: RegExp[]])[] = [
    [
      'registries: {apps: {hosted: true, upstreams: ["https://a.example"]}}',
      /:1:\d+ {2}registries\.apps\.hosted: .*beside upstreams, expected one of the two.*write hosted: \[acme/,
    ],
    [
      'registries: {apps: {hosted: ["**"], upstreams: ["https://a.example"]}}',
      /registries\.apps\.hosted: found it for every repository/,
    ],
    ['registries: {apps: {hosted: [acme/**]}}', /registries\.apps: found no upstreams, expected .* hosted: true/],
    ['registries: {apps: {hosted: []}}', /registries\.apps\.hosted: found an empty list/],
    ['registries: {apps: {hosted: yes}}', /registries\.apps\.hosted: found "yes", expected true, false, or a list/],
    [
      'cache: off\nregistries: {apps: {hosted: true}}',
      /:2:\d+ {2}registries\.apps\.hosted: found it with cache: off, expected a cache.*write cache: \{dir:/,
    ],
    [
      'registries: {ghcr.io: {hosted: [acme/**], push: [ours/**, "*/app"]}}',
      /registries\["ghcr\.io"\]\.push\[1\]: found \*\/app, .* acme\/\*\* has some of them.*narrow one/,
    ],
    ['registries: {apps: {hosted: true, quota: 50}}', /registries\.apps\.quota: found 50, .*did you mean 50GB/],
    ['registries: {apps: {hosted: true, quota: 0B}}', /registries\.apps\.quota: found "0B", expected an amount/],
    [
      'registries: {apps: {hosted: true, keep_untaged: 1d}}',
      /keep_untaged: unknown option; did you mean "keep_untagged"/,
    ],
    [
      'access: {rules: [{who: [alice, anonymous], may: [pull, push, delete], on: [apps/**]}]}',
      /:1:\d+ {2}access\.rules\[0\]\.may\[1\]: found push for anonymous, expected users.*who: alice/,
      /access\.rules\[0\]\.may\[2\]: found delete for anonymous/,
    ],
    ['access: {rules: [{who: alice, may: [push]}]}', /access\.rules\[0\]\.on: found no patterns/],
    [
      'cache: off\nregistries: {a: {hosted: true, upstreams: ["https://a.example"]}}\naccess: {rules: [{who: anonymous, may: [push], on: [a/**]}]}',
      /registries\.a\.hosted: .* beside upstreams/,
      /registries\.a\.hosted: .* cache: off/,
      /:3:\d+ {2}access\.rules\[0\]\.may\[0\]/,
    ],
  ];
  for (const [text, ...expected] of rows) {
    test(text, async () => {
      const problems = await problemsOf(text);
      assert.equal(problems.length, expected.length, problems.join('\n'));
      for (const [at, problem] of expected.entries()) assert.match(problems[at] ?? '', problem);
    });
  }
});

describe('what has no effect is noted with its place and remedy', () => {
  const access = 'access: {rules: [{who: alice, may: [pull, push], on: [apps/**]}]}';
  const rows: readonly (readonly [text: string, note: RegExp])[] = [
    [
      'registries: {apps: {hosted: true}}',
      /:1:\d+ {2}registries\.apps\.hosted: every push is refused: .*`entrepot users add`/,
    ],
    ['registries: {ghcr.io: {push: [a/**]}}', /registries\["ghcr\.io"\]\.push: every push is refused/],
    [
      `${access}\nregistries: {ghcr.io: {quota: 1GB}}`,
      /:2:\d+ {2}registries\["ghcr\.io"\]\.quota: without effect.*Set hosted/,
    ],
    [`${access}\nregistries: {ghcr.io: {hosted: false, immutable_tags: ["v*"]}}`, /immutable_tags: without effect/],
    [`${access}\nregistries: {ghcr.io: {push: [a/**], sparse: true}}`, /sparse: without effect/],
    [`${access}\nregistries: {ghcr.io: {keep_untagged: 1d}}`, /keep_untagged: without effect/],
  ];
  for (const [text, expected] of rows) {
    test(text, async () => {
      const [note = '', ...more] = await notesOn(text);
      assert.deepEqual(more, []);
      assert.match(note, expected);
    });
  }

  test('not what is right', async () => {
    const keys = 'hosted: true, quota: 1GB, immutable_tags: [latest], sparse: true, keep_untagged: 1d';
    assert.deepEqual(await notesOn(`${access}\nregistries: {apps: {${keys}}}`), []);
    // The server itself pushes.
    const copy = 'copy: [{images: [{from: "ghcr.io/a/b:1", to: apps/b}], schedule: "@daily"}]';
    assert.deepEqual(await notesOn(`${copy}\nregistries: {apps: {hosted: true}}`), []);
  });
});
