import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ConfigError } from '../problems.ts';
import { printConfigJson } from '../show/index.ts';
import { type LoadedConfig, loadConfig } from './load.ts';

describe('forward_proxy', () => {
  let cwd: string;
  before(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'entrepot-config-'));
  });
  after(() => rm(cwd, { recursive: true, force: true }));

  const load = (forward_proxy: unknown, more: object = {}): Promise<LoadedConfig> =>
    loadConfig({ flags: {}, env: { ENTREPOT_CONFIG: JSON.stringify({ ...more, forward_proxy }) }, cwd });

  test('is off, and strict where it is on', async () => {
    const { config } = await load({});
    const { enabled, anonymous, ports, allowPrivate, maxTunnels, idleTimeout, mitm } = config.forwardProxy;
    assert.deepEqual(
      { enabled, anonymous, ports, allowPrivate, maxTunnels, idleTimeout, mitm },
      {
        enabled: false,
        anonymous: false,
        ports: [443, 80],
        allowPrivate: [],
        maxTunnels: 512,
        idleTimeout: 300_000,
        mitm: { enabled: false },
      },
    );
  });

  test('takes names and expressions', async () => {
    const allowed_hosts = [
      'Docker.IO',
      'ghcr.io:443',
      '10.0.0.1',
      '2001:db8::1',
      '[2001:db8::2]',
      '^cdn[0-9]+\\.quay\\.io$',
      '.*',
    ];
    const { config } = await load({ enabled: true, allowed_hosts, presets: ['quay.io'] });
    assert.deepEqual(config.forwardProxy.allowedHosts, ['docker.io', ...allowed_hosts.slice(1)]);
  });

  test('listens where it is told to, with TLS or without, at files that lie beside the configuration', async () => {
    await Promise.all(['a.pem', 'b.pem'].map((name) => writeFile(join(cwd, name), 'pem')));
    const { config } = await load({
      listen: [3128, { address: ':3129', tls: { cert_file: 'a.pem', key_file: 'b.pem' } }],
    });
    assert.deepEqual(config.forwardProxy.listen, [
      { address: { port: 3128 } },
      { address: { port: 3129 }, tls: { certFile: join(cwd, 'a.pem'), keyFile: join(cwd, 'b.pem') } },
    ]);
    assert.deepEqual((await load({ listen: ':3128' })).config.forwardProxy.listen, [{ address: { port: 3128 } }]);
  });

  test('the password is never printed', async () => {
    const loaded = await load({ enabled: true, user: 'ship', password: 's3cret' });
    assert.ok(!printConfigJson(loaded).includes('s3cret'));
  });

  const table: readonly [what: string, value: unknown, message: RegExp, more?: object][] = [
    [
      'an expression that is none',
      { allowed_hosts: ['docker.(io'] },
      /allowed_hosts.*host name such as ghcr\.io, or a regular/,
    ],
    ['a name that is none', { allowed_hosts: ['docker io'] }, /allowed_hosts/],
    ['an address in brackets that is none', { allowed_hosts: ['[2001:db8::x]'] }, /allowed_hosts/],
    ['a preset that is none', { presets: ['docker'] }, /presets.*docker\.io or ghcr\.io/],
    ['a port that is none', { ports: [0] }, /ports/],
    ['no port', { ports: [] }, /ports/],
    ['a user with a colon', { user: 'a:b', password: 'x' }, /user.*found "a:\*\*\*"/],
    ['a user without a password', { user: 'ship' }, /found one of user and password/],
    [
      'a certificate without a key',
      { mitm: { ca_cert_file: import.meta.filename } },
      /found one of ca_cert_file and ca_key_file/,
    ],
    [
      'no place for an authority',
      { enabled: true, mitm: { enabled: true } },
      /found no ca_cert_file/,
      { cache: 'off' },
    ],
    ['an address that is taken', { listen: '127.0.0.1:5000' }, /under listen already/],
    [
      'an address twice',
      {
        listen: [
          ':3128',
          { address: ':3128', tls: { cert_file: import.meta.filename, key_file: import.meta.filename } },
        ],
      },
      /found :3128 a second time/,
    ],
    ['no address', { listen: [] }, /listen.*list of addresses/],
    ['a redirect on a listener of its own', { listen: [{ address: ':3128', redirect_to_https: true }] }, /listen/],
    ['an option that there is none of', { allowed_host: [] }, /allowed_hosts/],
  ];
  for (const [what, value, message, more] of table) {
    test(`${what} is a problem`, async () => {
      await assert.rejects(load(value, more), (error) => error instanceof ConfigError && message.test(error.message));
    });
  }
});
