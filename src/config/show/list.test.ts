import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../read/load.ts';
import { configSchema, type Option, outline } from '../schema/index.ts';
import { listOptions } from './list.ts';
import { printConfig } from './print.ts';

const CANARY = 'c4n4ry';

/** A secret, or what may hold one, wherever an option takes it. */
const SECRETS = `
registry_map: https://maps.example/map.json?token=${CANARY}
registries:
  apps:
    upstreams:
      - url: https://a.example
        credentials: {username: ${CANARY}, password: ${CANARY}}
        headers: {Authorization: Bearer ${CANARY}, X-Api-Key: ${CANARY}, User-Agent: entrepot}
        transport: {outbound_proxy: "http://user:${CANARY}@proxy.example:3128"}
      - url: https://b.example
        credentials: [{username: ${CANARY}, password: ${CANARY}}, {username: {env: U}, password: {file: ./p}}]
mirrors:
  - name: files
    prefix: /files
    upstream: https://files.example
    credentials: {username: ${CANARY}, password: ${CANARY}}
    headers: {Cookie: ${CANARY}}
transport:
  outbound_proxy: "socks5://user:${CANARY}@proxy.example:1080"
forward_proxy:
  enabled: true
  user: "proxy"
  password: ${CANARY}
  allowed_hosts: [ghcr.io]
webhooks:
  - {url: "https://ci.example/hook?key=${CANARY}", name: ci, secret: ${CANARY}, headers: {X-Key: ${CANARY}}}
  - {url: "https://cd.example/hook", name: cd, secret: [${CANARY}, ${CANARY}2]}
listen:
  - {address: ":5443", tls: {acme: {domains: [m.example], eab: {key_id: kid, hmac_key: ${CANARY}}}}}
tracing:
  endpoint: https://traces.example
  headers: {Authorization: ${CANARY}}
cache: {max_size: 50GB, pin: }
`;

const load = (text: string, env: NodeJS.ProcessEnv = {}) =>
  loadConfig({ cwd: '/srv', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text, ...env }, checkReferences: false });

describe('listOptions()', () => {
  test('shows each value, and where it comes from', async () => {
    const text = 'listen: [":1", ":2"]\nregistries:\n  ghcr.io:\ncache:\n  max_size: 50GB\n  pin:\n';
    const loaded = await loadConfig({
      cwd: '/srv',
      env: { HOME: '/nowhere', ENTREPOT_CONFIG: text, ENTREPOT_LOG__FORMAT: 'json' },
      flags: { domainSuffix: 'm.example' },
    });
    const options = new Map((await listOptions(loaded)).map(({ name, value, from }) => [name, `${value} # ${from}`]));
    const expected: Readonly<Record<string, string>> = {
      'listen[1]': ':2 # ENTREPOT_CONFIG:1:16',
      'registries["ghcr.io"]': '{} # ENTREPOT_CONFIG:3:3',
      'cache.max_size': '50GB # ENTREPOT_CONFIG:5:3',
      'cache.pin': '[] # default',
      'cache.dir': '/srv/data # default',
      'log.format': 'json # ENTREPOT_LOG__FORMAT',
      domain_suffix: 'm.example # --domain-suffix',
      'timeouts.idle_timeout': '65s # default',
    };
    for (const [name, shown] of Object.entries(expected)) assert.equal(options.get(name), shown, name);
  });

  test('shows a cache that is off', async () => {
    const options = await listOptions(await load('cache: off'));
    assert.deepEqual(
      options.filter(({ name }) => name.startsWith('cache')),
      [{ name: 'cache', value: 'off', from: 'ENTREPOT_CONFIG:1:1' }],
    );
  });

  test('shows no secret, in any form', async () => {
    const loaded = await load(SECRETS);
    for (const shown of [JSON.stringify(await listOptions(loaded)), await printConfig(loaded)]) {
      assert.ok(!shown.includes(CANARY), shown);
      assert.match(shown, /\*\*\*/);
    }
  });

  test('is tried with every option that holds a secret', () => {
    const everyOption = (options: readonly Option[]): readonly Option[] =>
      options.flatMap((option) => [option, ...everyOption(option.options)]);
    const secret = everyOption(outline(configSchema)).filter(({ type }) => type === 'secret');
    assert.ok(secret.length > 5);
    for (const { path } of secret) {
      const key = path.filter((each) => each !== '[]' && each !== '<name>').at(-1) ?? '';
      assert.match(SECRETS, new RegExp(`\\b${key}: \\[?\\{?[^\\n]*${CANARY}`), path.join('.'));
    }
  });
});
