import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { loadConfig } from '../read/load.ts';
import { configSchema, outline } from '../schema/index.ts';
import { printConfig, printConfigJson } from './print.ts';

const TEXT = `
listen: [":1", ":2"]
public_url: https://m.example
registry_map: https://maps.example/map.json?token=hush
registries:
  ghcr.io:
  apps:
    upstreams:
      - url: https://a.example
        credentials: {username: hush-user, password: hush}
        headers: {Authorization: Bearer hush, X-Api-Key: hush, User-Agent: entrepot}
      - {url: https://b.example, credentials: [{username: {env: U}, password: {file: ./p}}, {username: hush, password: hush}]}
cache: {max_size: 50GB}
`;

const load = () =>
  loadConfig({
    cwd: '/srv',
    env: { HOME: '/nowhere', ENTREPOT_CONFIG: TEXT, ENTREPOT_LOG__FORMAT: 'json', DEBUG: '1' },
    flags: { domainSuffix: 'm.example' },
    checkReferences: false,
  });

describe('printConfig()', () => {
  test('shows every option, and where what is no default comes from', async () => {
    const text = await printConfig(await load());
    const keys = [...text.matchAll(/^([a-z_]+):/gm)].map(([, key]) => key);
    assert.deepEqual(
      keys,
      outline(configSchema)
        .map(({ path }) => path[0])
        .filter((key) => key !== 'default_registry' && key !== 'access'),
    );
    const lines = text.split('\n').map((line) => line.trim());
    for (const line of [
      '- :1 # ENTREPOT_CONFIG:2:10',
      'public_url: https://m.example # ENTREPOT_CONFIG:3:1',
      'ghcr.io: {} # ENTREPOT_CONFIG:6:3',
      'max_size: 50GB # ENTREPOT_CONFIG:13:9',
      'domain_suffix: m.example # --domain-suffix',
      'format: json # ENTREPOT_LOG__FORMAT',
      'level: debug # DEBUG',
      'idle_timeout: 65s',
      'dir: /srv/data',
      'env: U # ENTREPOT_CONFIG:12:60',
    ]) {
      assert.ok(lines.includes(line), `${line}\n  is missing in\n${text}`);
    }
  });

  test('leaves out every secret, and what is left can be read', async () => {
    const loaded = await load();
    for (const text of [await printConfig(loaded), printConfigJson(loaded)]) {
      assert.doesNotMatch(text, /hush/);
      assert.match(text, /User-Agent"?: "?entrepot/);
    }
    const read = parse(await printConfig(loaded)) as Record<string, Record<string, unknown>>;
    assert.equal(read['timeouts']?.['idle_timeout'], '65s');
  });

  test('prints a cache that is off, and the defaults without a comment', async () => {
    const env = { HOME: '/nowhere' };
    assert.match(
      await printConfig(await loadConfig({ cwd: '/', env, flags: { cache: false } })),
      /^cache: off # --no-cache$/m,
    );
    assert.doesNotMatch(await printConfig(await loadConfig({ cwd: '/', env })), /#/);
  });
});

describe('printConfigJson()', () => {
  test('gives the configuration and its sources to programs', async () => {
    const { source, config, sources } = JSON.parse(printConfigJson(await load())) as {
      source: string;
      config: { cache: unknown };
      sources: Record<string, string>;
    };
    assert.equal(source, 'ENTREPOT_CONFIG');
    assert.deepEqual(config.cache, {
      dir: '/srv/data',
      tags: { fresh_for: '10m', rules: [], stale_after: '2s', stale_on_not_found: false },
      on_range: 'ingest',
      manifests_in_memory: '32MiB',
      pin: [],
      not_found_for: '10s',
      verify_after: '7d',
      max_size: '50GB',
    });
    assert.equal(sources['cache.max_size'], 'ENTREPOT_CONFIG:13:9');
    assert.equal(sources['domain_suffix'], '--domain-suffix');
    assert.equal(sources['cache.dir'], undefined);
  });
});
