import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../config/index.ts';
import { KNOWN_REGISTRIES } from '../../routing/index.ts';
import { checkTargetsOf } from './check.ts';
import { composeRegistries } from './registries.ts';

async function select(config: object, asked: Parameters<typeof checkTargetsOf>[2] = {}) {
  const env = { ENTREPOT_CONFIG: JSON.stringify(config) };
  const loaded = await loadConfig({ flags: {}, env, cwd: import.meta.dirname });
  return checkTargetsOf(loaded.config, composeRegistries(loaded.config), asked);
}

const APPS = {
  registries: {
    apps: { aliases: ['shop'], upstreams: [{ url: 'https://hot.example', name: 'hot' }, 'https://cold.example/base'] },
    'ghcr.io': { upstreams: ['https://ghcr.example'] },
  },
};

describe('what is checked', () => {
  const known = KNOWN_REGISTRIES.map(({ name }) => name);

  test('every known registry, where nothing is configured', async () => {
    const { targets, leftOut, onlyKnown } = await select({ log: { level: 'debug' } });
    assert.deepEqual(new Set(targets.map(({ name }) => name)), new Set(known));
    assert.deepEqual([leftOut, onlyKnown], [0, true]);
    const hub = targets.find(({ name }) => name === 'docker.io');
    assert.deepEqual(
      [hub?.kind, hub?.spec.url, hub?.path, hub?.quotaRepository],
      ['registry', 'https://registry-1.docker.io', '/v2/', 'ratelimitpreview/test'],
    );
    assert.equal(targets.filter(({ quotaRepository }) => quotaRepository !== undefined).length, 1);
  });

  test('every upstream of what is configured, and how many known ones are left out', async () => {
    const { targets, leftOut, onlyKnown } = await select(APPS);
    const found = targets.map(({ name, spec }) => `${name} ${spec.name}`);
    assert.deepEqual(new Set(found), new Set(['apps hot', 'apps cold.example', 'ghcr.io ghcr.example']));
    assert.deepEqual([leftOut, onlyKnown], [known.length - 1, false]);
  });

  test('mirror routes, which are something that is configured', async () => {
    const mirrors = [
      {
        name: 'github',
        prefix: '/github',
        upstream: 'github.example',
        credentials: { username: 'ada', password: 'x' },
      },
      {
        name: 'files',
        prefix: '/files',
        upstream: 'https://files.example/base/',
        transport: { first_fragment_len: 3 },
      },
    ];
    const { targets, leftOut, onlyKnown } = await select({ mirrors });
    assert.deepEqual(
      targets.map(({ kind, name, path, spec }) => [kind, name, spec.url + path]),
      [
        ['mirror', 'github', 'https://github.example'],
        ['mirror', 'files', 'https://files.example/base'],
      ],
    );
    assert.deepEqual(targets[0]?.spec.credentials, { username: 'ada', password: 'x' });
    assert.equal(targets[1]?.spec.transport.upstream.firstFragmentLen, 3);
    assert.deepEqual([leftOut, onlyKnown], [known.length, false]);
    const named = await select({ ...APPS, mirrors }, { names: ['files', 'apps'] });
    assert.deepEqual(
      named.targets.map(({ kind, name }) => `${kind} ${name}`),
      ['mirror files', 'registry apps', 'registry apps'],
    );
  });

  test('the default registry is configured where it is written', async () => {
    const { targets } = await select({ default_registry: 'quay.io' });
    assert.deepEqual(
      targets.map(({ name }) => name),
      ['quay.io'],
    );
  });

  test('all of them on demand', async () => {
    const { targets, leftOut } = await select(APPS, { all: true });
    assert.equal(targets.length, known.length - 1 + 3);
    assert.equal(leftOut, 0);
  });

  const rows: readonly (readonly [names: string[], targets: string[], unknown: string[]])[] = [
    [['apps'], ['hot', 'cold.example'], []],
    [['shop'], ['hot', 'cold.example'], []],
    [['hot'], ['hot'], []],
    [['apps', 'hot'], ['hot', 'cold.example'], []],
    [['docker'], ['registry-1.docker.io'], []],
    [['index.docker.io'], ['registry-1.docker.io'], []],
    [['europe-docker.pkg.dev'], ['europe-docker.pkg.dev'], []],
    [['unknown', 'hot'], ['hot'], ['unknown']],
  ];
  for (const [names, expected, missing] of rows) {
    test(`by name: ${names.join(' ')}`, async () => {
      const { targets, unknown, leftOut } = await select(APPS, { names });
      assert.deepEqual(
        targets.map(({ spec }) => spec.name),
        expected,
      );
      assert.deepEqual([unknown, leftOut], [missing, 0]);
    });
  }

  test('no upstream of a registry that is hosted, which is no wrong name', async () => {
    const config = { registries: { apps: { hosted: true, aliases: ['shop'] }, 'ghcr.io': {} } };
    const all = await select(config);
    assert.deepEqual([all.targets.map(({ name }) => name), all.hosted, all.onlyKnown], [['ghcr.io'], ['apps'], false]);
    for (const name of ['apps', 'shop']) {
      const { targets, hosted, unknown } = await select(config, { names: [name] });
      assert.deepEqual([targets, hosted, unknown], [[], ['apps'], []]);
    }
    assert.deepEqual((await select(config, { names: ['aps'] })).unknown, ['aps']);
  });
});
