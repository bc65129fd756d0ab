import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Config, loadConfig } from '../config/index.ts';
import { changedKeys, planReload } from './reload-plan.ts';

async function configOf(text: object): Promise<Config> {
  const env = { ENTREPOT_CONFIG: JSON.stringify(text) };
  return (await loadConfig({ env, cwd: '/srv', checkReferences: false })).config;
}

describe('changedKeys', () => {
  for (const [before, after, expected] of [
    [{ a: 1 }, { a: 1 }, []],
    [{ a: { b: 1, c: 2 } }, { a: { b: 2, c: 2 } }, ['a.b']],
    [{ a: [1, 2] }, { a: [2, 1] }, ['a']],
    [{ a: 'off' }, { a: { b: 1 } }, ['a']],
    [{}, { b: 1, a: 1 }, ['a', 'b']],
    [
      { registries: { 'ghcr.io': { aliases: [] } } },
      { registries: { 'ghcr.io': { aliases: ['g'] } } },
      ['registries["ghcr.io"]'],
    ],
    [{ registries: { one: {} } }, { registries: { two: {} } }, ['registries.one', 'registries.two']],
  ] as const) {
    test(`${JSON.stringify(before)} → ${JSON.stringify(after)}`, () => {
      assert.deepEqual(changedKeys(before, after), expected);
    });
  }
});

describe('settleConfig', () => {
  for (const [name, before, after, changed, restart] of [
    ['nothing', {}, {}, [], []],
    ['the address', {}, { listen: ':7000' }, [], ['listen']],
    [
      'the files of a certificate',
      { listen: [{ address: ':1', tls: { cert_file: '/a', key_file: '/k' } }] },
      { listen: [{ address: ':1', tls: { cert_file: '/b', key_file: '/k' } }] },
      [],
      ['listen'],
    ],
    [
      'the domains of an ordered certificate',
      { listen: [{ address: ':1', tls: { acme: { domains: ['a.example'] } } }, ':80'] },
      { listen: [{ address: ':1', tls: { acme: { domains: ['a.example', 'b.example'] } } }, ':80'] },
      ['listen'],
      [],
    ],
    [
      'the domains of an ordered certificate, and an address',
      { listen: [{ address: ':1', tls: { acme: { domains: ['a.example'] } } }, ':80'] },
      { listen: [{ address: ':1', tls: { acme: { domains: ['b.example'] } } }, ':81'] },
      [],
      ['listen'],
    ],
    [
      'an ordered certificate in place of files',
      { listen: [{ address: ':1', tls: { cert_file: '/a', key_file: '/k' } }, ':80'] },
      { listen: [{ address: ':1', tls: { acme: { domains: ['a.example'] } } }, ':80'] },
      [],
      ['listen'],
    ],
    ['the directory, and a limit', {}, { cache: { dir: '/b', max_size: '1GB' } }, ['cache.max_size'], ['cache.dir']],
    ['no cache any more', {}, { cache: 'off' }, [], ['cache']],
    ['memory for manifests', {}, { cache: { manifests_in_memory: '1MiB' } }, [], ['cache.manifests_in_memory']],
    [
      'times',
      {},
      { timeouts: { idle_timeout: '1s', max_header_bytes: 2048 } },
      ['timeouts.idle_timeout'],
      ['timeouts.max_header_bytes'],
    ],
    [
      'a name server',
      {},
      { transport: { dns: { hosts: { 'a.example': '192.0.2.1' } } } },
      ['transport.dns.hosts["a.example"]'],
      [],
    ],
    [
      'the forward proxy',
      {},
      { forward_proxy: { enabled: true, max_tunnels: 7 } },
      ['forward_proxy.max_tunnels'],
      ['forward_proxy.enabled'],
    ],
    ['the page turned off', {}, { admin: { enabled: false } }, ['admin.enabled'], []],
    [
      'the page turned off, and given an address without effect',
      {},
      { admin: { enabled: false, listen: '127.0.0.1:1' } },
      ['admin.enabled'],
      ['admin.listen'],
    ],
    [
      'the page turned on, at an address of its own',
      { admin: { enabled: false } },
      { admin: { listen: '127.0.0.1:1' } },
      [],
      ['admin.enabled', 'admin.listen'],
    ],
    [
      'the log',
      {},
      { log: { level: 'warn', format: 'json', access: false } },
      ['log.access', 'log.format', 'log.level'],
      [],
    ],
  ] as const) {
    test(name, async () => {
      const running = await configOf(before);
      const settled = planReload(running, await configOf(after));
      assert.deepEqual({ changed: settled.changed, restart: settled.restart }, { changed, restart });
      // What is in effect is settled: the same again changes nothing more.
      assert.deepEqual(planReload(settled.config, await configOf(after)).changed, []);
    });
  }
});
