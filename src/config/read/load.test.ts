import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { UpstreamSpec } from '../../oci/index.ts';
import { ConfigError, formatProblem } from '../problems.ts';
import { outline } from '../schema/outline.ts';
import { type Config, configSchema, type UpstreamConfig } from '../schema/schema.ts';

type CacheConfig = Exclude<Config['cache'], 'off'>;

import { type LoadOptions, loadConfig } from './load.ts';

/** A working directory and a home without any configuration. */
let cwd = '';
before(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'entrepot-config-'));
});
after(() => rm(cwd, { recursive: true, force: true }));

async function write(path: string, text: string): Promise<string> {
  const file = join(cwd, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

/** How a name that no section is like ends. */
const SECTIONS = `; expected one of ${outline(configSchema)
  .map(({ path }) => path[0])
  .join(', ')}`;

/** Loads with nothing of the surroundings of the test. */
/** What a registry has that nothing can be pushed to. */
const NOTHING_HOSTED = { push: [], immutableTags: [], sparse: false };

function load({ env = {}, ...options }: LoadOptions = {}) {
  return loadConfig({ cwd, env: { HOME: join(cwd, 'home'), ...env }, ...options });
}

/** Loads a text as the whole configuration. */
function loadText(text: string, options: LoadOptions = {}) {
  return load({ ...options, env: { ...options.env, ENTREPOT_CONFIG: text } });
}

/** The problems of a configuration, a line for each; none where it is valid. */
async function problemsOf(loading: Promise<unknown>): Promise<readonly string[]> {
  try {
    await loading;
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.message, error.problems.map(formatProblem).join('\n'));
    return error.problems.map(formatProblem);
  }
}

describe('loadConfig() without anything', () => {
  test('gives every default, paths absolute, times in milliseconds, sizes in bytes', async () => {
    const { config, source, settings } = await load();
    assert.equal(source, 'defaults');
    assert.equal(settings, undefined);
    assert.deepEqual(config, {
      listen: [{ address: { host: '127.0.0.1', port: 5000 }, redirectToHttps: false }],
      trustedProxies: [],
      knownRegistries: true,
      allowAny: false,
      registries: {},
      mirrors: [],
      offline: false,
      warm: [],
      copy: [],
      publicUrl: [],
      cache: {
        dir: join(cwd, 'data'),
        tags: { freshFor: 600_000, rules: [], staleAfter: 2000, staleOnNotFound: false },
        onRange: 'ingest',
        manifestsInMemory: 33_554_432,
        pin: [],
        notFoundFor: 10_000,
        verifyAfter: 604_800_000,
      },
      log: { level: 'info', format: 'auto', access: true },
      tracing: { sample: 1, headers: {}, serviceName: 'entrepot', timeout: 10_000 },
      timeouts: {
        readHeaderTimeout: 10_000,
        readTimeout: 0,
        writeTimeout: 0,
        idleTimeout: 65_000,
        drainDelay: 0,
        shutdownTimeout: 30_000,
        clientStallTimeout: 60_000,
        maxHeaderBytes: 16_384,
      },
      limits: {
        maxConnections: 16_384,
        maxInflight: 0,
        maxInflightWait: 0,
        maxWaiting: 1024,
        overloadStatus: 429,
        retryAfter: 5000,
        perClient: { maxInflight: 0, requestsPerSecond: 0 },
      },
      transport: {
        dialTimeout: 10_000,
        tlsHandshakeTimeout: 10_000,
        responseHeaderTimeout: 30_000,
        bodyIdleTimeout: 30_000,
        idleConnTimeout: 15_000,
        maxIdleConnsPerHost: 16,
        maxIdleConns: 256,
        maxConnsPerHost: 64,
        keepalive: 30_000,
        firstFragmentLen: 0,
        allowPlainFallback: true,
        outboundProxy: 'environment',
        dns: { servers: [], bootstrap: [], fallback: 'system', hosts: {} },
        insecureSkipVerify: false,
        allowPrivate: [],
      },
      transfer: { connections: 4, minSegment: 16 * 1024 * 1024 },
      forwardProxy: {
        enabled: false,
        listen: [],
        ports: [443, 80],
        allowPrivate: [],
        anonymous: false,
        maxTunnels: 512,
        idleTimeout: 300_000,
        mitm: { enabled: false },
      },
      admin: { enabled: true, listen: [], recordPulls: true },
      webhooks: [],
    });
  });

  test('does not import the YAML parser', async () => {
    const script = `
      import { registerHooks } from 'node:module';
      const seen = [];
      registerHooks({ resolve: (name, context, next) => (seen.push(name), next(name, context)) });
      const { loadConfig } = await import(${JSON.stringify(new URL('../index.ts', import.meta.url).href)});
      await loadConfig({ env: { HOME: ${JSON.stringify(cwd)} }, cwd: ${JSON.stringify(cwd)}, flags: { listen: [':1'] } });
      process.stdout.write(String(seen.includes('zod')) + ' ' + String(seen.includes('yaml')));`;
    const { execFile } = await import('node:child_process');
    const { promisify } = await import('node:util');
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    assert.equal(stdout, 'true false');
  });
});

describe('loadConfig() finds the file', () => {
  test('in the working directory, then the user’s directory; .yaml before .yml before .json', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-find-'));
    try {
      const env = { HOME: join(directory, 'home') };
      const sourceOf = async (more = {}) => (await loadConfig({ cwd: directory, env: { ...env, ...more } })).source;
      const add = async (path: string) => {
        await mkdir(dirname(join(directory, path)), { recursive: true });
        await writeFile(join(directory, path), 'known_registries: false\n');
        return join(directory, path);
      };
      const home = await add('home/.config/entrepot/entrepot.json');
      assert.equal(await sourceOf(), home);
      const xdg = await add('xdg/entrepot/entrepot.yml');
      assert.equal(await sourceOf({ XDG_CONFIG_HOME: join(directory, 'xdg') }), xdg);
      assert.equal(await sourceOf({ XDG_CONFIG_HOME: 'xdg' }), home, 'a relative XDG_CONFIG_HOME is ignored');
      for (const name of ['entrepot.json', 'entrepot.yml', 'entrepot.yaml']) {
        const added = await add(name);
        assert.equal(await sourceOf(), added);
      }
      await add('config.yaml');
      const named = await add('other/mine.yaml');
      assert.equal(await sourceOf({ ENTREPOT_CONFIG_FILE: 'other/mine.yaml' }), named);
      assert.equal(await sourceOf({ ENTREPOT_CONFIG: 'log: {level: warn}' }), 'ENTREPOT_CONFIG');
      const flagged = await loadConfig({
        cwd: directory,
        env: { ...env, ENTREPOT_CONFIG: 'cache: off', ENTREPOT_CONFIG_FILE: 'absent' },
        flags: { config: named },
      });
      assert.equal(flagged.source, named, '--config beats both variables');
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });

  test('a bare config.yaml is another program’s', async () => {
    await write('bare/config.yaml', 'nonsense: true');
    assert.equal((await load({ cwd: join(cwd, 'bare') })).source, 'defaults');
  });

  test('a named file that is not there, a directory, too large or not UTF-8 is a problem', async () => {
    await write('large.yaml', `# ${'x'.repeat(1024 * 1024)}`);
    await writeFile(join(cwd, 'latin.yaml'), Buffer.from('# caf\xe9\n', 'latin1'));
    await mkdir(join(cwd, 'folder'), { recursive: true });
    const of = (config: string) => problemsOf(load({ flags: { config } }));
    assert.deepEqual(await of('absent.yaml'), ['absent.yaml: there is no such file']);
    assert.deepEqual(await of('folder'), ['folder: found a directory, expected a file']);
    assert.deepEqual(await of('large.yaml'), ['large.yaml: found more than 1 MiB, expected a configuration']);
    assert.deepEqual(await of('latin.yaml'), ['latin.yaml: found bytes that are not UTF-8, expected text']);
    assert.deepEqual(await of('/absent/entrepot.yaml'), ['/absent/entrepot.yaml: there is no such file']);
  });

  test('a found file that may not be read is a problem, not passed over', {
    skip: process.getuid?.() === 0 && 'root reads everything',
  }, async () => {
    const file = await write('closed/entrepot.yaml', 'cache: off');
    await chmod(file, 0);
    assert.deepEqual(await problemsOf(load({ cwd: dirname(file) })), ['entrepot.yaml: this user may not read it']);
  });

  test('two places at once in the environment are a problem', async () => {
    const found = await problemsOf(load({ env: { ENTREPOT_CONFIG: 'cache: off', ENTREPOT_CONFIG_FILE: 'x.yaml' } }));
    assert.deepEqual(found, ['ENTREPOT_CONFIG  found ENTREPOT_CONFIG_FILE as well, expected one of the two']);
  });

  test('reads JSON, with tabs too', async () => {
    await write('tabs.json', '{\n\t"listen": 5000,\n\t"cache": {\n\t\t"dir": "x"\n\t}\n}\n');
    const { config } = await load({ flags: { config: 'tabs.json' } });
    assert.deepEqual(config.listen[0]?.address, { port: 5000 });
    assert.equal((config.cache as CacheConfig).dir, join(cwd, 'x'));
  });
});

describe('loadConfig() understands', () => {
  test('the spine as the manual has it', async () => {
    const { config } = await loadText(
      `
listen: 127.0.0.1:5000
public_url: https://mirror.example.com/
domain_suffix: .Mirror.example.com
default_registry: docker.io
registries:
  ghcr.io:
  apps:
    aliases: [Apps-Alias]
    upstreams:
      - url: https://registry.cn-hangzhou.aliyuncs.com/
        credentials: {username: u, password: {env: HOT_PASSWORD}}
        headers: {User-Agent: entrepot}
      - http://localhost:5001
    delivery: redirect
cache: {dir: ./data, max_size: 50GB, tags: {fresh_for: 10m, rules: [{match: "docker.io/library/*:latest", fresh_for: 30s}]}}
log: {level: info, format: json}
`,
      { env: { HOT_PASSWORD: 'hush' } },
    );
    assert.deepEqual(config.publicUrl, ['https://mirror.example.com']);
    assert.equal(config.domainSuffix, 'mirror.example.com');
    assert.deepEqual(config.registries['ghcr.io'], { aliases: [], delivery: 'stream', ...NOTHING_HOSTED });
    assert.deepEqual(config.registries['apps'], {
      aliases: ['apps-alias'],
      delivery: 'redirect',
      upstreams: [
        {
          url: 'https://registry.cn-hangzhou.aliyuncs.com',
          credentials: { username: 'u', password: { env: 'HOT_PASSWORD' } },
          headers: { 'User-Agent': 'entrepot' },
          capabilities: ['pull', 'resolve'],
          tokenRealms: [],
        },
        { url: 'http://localhost:5001', headers: {}, capabilities: ['pull', 'resolve'], tokenRealms: [] },
      ],
      ...NOTHING_HOSTED,
    });
    assert.deepEqual(config.cache, {
      dir: join(cwd, 'data'),
      maxSize: 50e9,
      tags: {
        freshFor: 600_000,
        rules: [{ match: 'docker.io/library/*:latest', freshFor: 30_000 }],
        staleAfter: 2000,
        staleOnNotFound: false,
      },
      onRange: 'ingest',
      manifestsInMemory: 33_554_432,
      pin: [],
      notFoundFor: 10_000,
      verifyAfter: 604_800_000,
    });
    // What the configuration has is what `upstream/` takes, without a conversion.
    const upstream = config.registries['apps']?.upstreams?.[0] as UpstreamConfig;
    upstream.credentials satisfies UpstreamSpec['credentials'];
  });

  test('a listener in every way it can be written', async () => {
    await write('cert.pem', 'x');
    await write('key.pem', 'x');
    const listenOf = async (text: string) => (await loadText(`listen: ${text}`)).config.listen;
    const plain = (address: object) => ({ address, redirectToHttps: false });
    assert.deepEqual(await listenOf('5000'), [plain({ port: 5000 })]);
    assert.deepEqual(await listenOf('"[::1]:5000"'), [plain({ host: '::1', port: 5000 })]);
    assert.deepEqual(await listenOf('unix:/run/a.sock'), [plain({ path: '/run/a.sock' })]);
    assert.deepEqual(await listenOf('[:80, {address: ":443", tls: {cert_file: cert.pem, key_file: key.pem}}]'), [
      plain({ port: 80 }),
      {
        address: { port: 443 },
        tls: { certFile: join(cwd, 'cert.pem'), keyFile: join(cwd, 'key.pem') },
        redirectToHttps: false,
      },
    ]);
    const [both] = await listenOf('[{address: ":80", redirect_to_https: true}]\npublic_url: https://m.example');
    assert.equal(both?.redirectToHttps, true);
  });

  for (const off of ['off', '"off"', 'false', 'no such thing']) {
    test(`cache: ${off}`, async () => {
      if (off !== 'no such thing') assert.equal((await loadText(`cache: ${off}`)).config.cache, 'off');
      else assert.equal((await problemsOf(loadText(`cache: ${off}`))).length, 1);
    });
  }

  test('allow_any as true, false and with deny', async () => {
    const of = async (text: string) => (await loadText(`allow_any: ${text}`)).config.allowAny;
    assert.deepEqual(await of('true'), { deny: [] });
    assert.equal(await of('false'), false);
    assert.deepEqual(await of('{deny: ["*.internal"]}'), { deny: ['*.internal'] });
  });

  test('tags: never', async () => {
    const { config } = await loadText('cache: {tags: never}');
    assert.equal((config.cache as CacheConfig).tags, 'never');
  });

  test('keys without a value as their defaults, and an empty file', async () => {
    const { config } = await loadText('cache:\nlog:\n  level:\nregistries:\nlisten:\n');
    assert.deepEqual(config, (await load()).config);
    for (const text of ['# nothing\n', '---\n', '{}', 'null']) assert.deepEqual((await loadText(text)).config, config);
  });

  test('anchors, aliases and merge keys', async () => {
    const { config } = await loadText(
      'registries:\n  a.example: &a {library: true, aliases: [x]}\n  b.example: {<<: *a, aliases: [y]}\n',
    );
    assert.deepEqual(config.registries['b.example'], {
      aliases: ['y'],
      delivery: 'stream',
      library: true,
      ...NOTHING_HOSTED,
    });
  });

  test('keys that are names of object internals are keys', async () => {
    const of = (text: string) => problemsOf(loadText(text));
    assert.deepEqual(await of('constructor: 1\ntoString: {}'), [
      `ENTREPOT_CONFIG:1:1  constructor: unknown option${SECTIONS}`,
      `ENTREPOT_CONFIG:2:1  toString: unknown option${SECTIONS}`,
    ]);
    for (const text of ['__proto__: {cache: off}', '{"registries": {"__proto__": {}}}']) {
      assert.match(
        (await of(text)).join('\n'),
        /^ENTREPOT_CONFIG:1:\d+ {2}found the key "__proto__", expected the name of an option$/,
      );
    }
    const { config } = await loadText('registries: {constructor: {upstreams: [https://x.example]}}');
    assert.equal(config.registries['constructor']?.delivery, 'stream');
    assert.equal(({} as Record<string, unknown>)['cache'], undefined);
  });

  test('the way to upstreams, for all and for one', async () => {
    const { config } = await loadText(`
transport:
  first_fragment_len: 3
  keepalive: 0
  outbound_proxy: socks5://u:p@proxy.test
  dns:
    servers: [https://dns.google/dns-query, 'tls://1.1.1.1:853#cloudflare-dns.com']
    bootstrap: [8.8.8.8, '2001:4860:4860::8888']
    fallback: none
    hosts: {Registry.Example.com: 192.0.2.1, both.test: [192.0.2.2, '2001:db8::2']}
registries:
  a.b:
    upstreams: [{url: https://x, transport: {first_fragment_len: 0, outbound_proxy: none, dial_timeout: 3s}}]`);
    const { firstFragmentLen, keepalive, outboundProxy, dns } = config.transport;
    assert.deepEqual([firstFragmentLen, keepalive, outboundProxy], [3, 0, 'socks5://u:p@proxy.test']);
    assert.deepEqual(dns, {
      servers: ['https://dns.google/dns-query', 'tls://1.1.1.1:853#cloudflare-dns.com'],
      bootstrap: ['8.8.8.8', '2001:4860:4860::8888'],
      fallback: 'none',
      hosts: { 'registry.example.com': ['192.0.2.1'], 'both.test': ['192.0.2.2', '2001:db8::2'] },
    });
    const [upstream] = config.registries['a.b']?.upstreams ?? [];
    assert.deepEqual(upstream?.transport, { firstFragmentLen: 0, outboundProxy: 'none', dialTimeout: 3_000 });
  });
});

describe('loadConfig() joins', () => {
  const file = 'cache: {max_size: 1GB, dir: /from/file, on_range: pass}\nlog: {level: warn}\nlisten: :1';

  test('defaults < file < environment < flags, option by option', async () => {
    const { config } = await loadText(file, {
      env: { ENTREPOT_CACHE__MAX_SIZE: '2GB', ENTREPOT_LOG__LEVEL: 'error', ENTREPOT_LISTEN: ':2' },
      flags: { logLevel: 'debug', listen: [':3', ':4'] },
    });
    assert.deepEqual(config.cache, {
      dir: '/from/file',
      maxSize: 2e9,
      tags: { freshFor: 600_000, rules: [], staleAfter: 2000, staleOnNotFound: false },
      onRange: 'pass',
      manifestsInMemory: 33_554_432,
      pin: [],
      notFoundFor: 10_000,
      verifyAfter: 604_800_000,
    });
    assert.equal(config.log.level, 'debug');
    assert.deepEqual(
      config.listen.map(({ address }) => address),
      [{ port: 3 }, { port: 4 }],
    );
  });

  test('every flag', async () => {
    await write('map.json', '{}');
    const { config } = await load({
      flags: {
        listen: ['[::1]:0'],
        cacheDir: 'here',
        domainSuffix: 'm.example',
        defaultRegistry: 'https://r.example',
        registryMap: './map.json',
        logLevel: 'warn',
        logFormat: 'console',
      },
    });
    assert.deepEqual(config.listen[0]?.address, { host: '::1', port: 0 });
    assert.equal((config.cache as CacheConfig).dir, join(cwd, 'here'));
    assert.equal(config.domainSuffix, 'm.example');
    assert.equal(config.defaultRegistry, 'https://r.example');
    assert.equal(config.registryMap, join(cwd, 'map.json'));
    assert.equal(config.log.level, 'warn');
    assert.equal(config.log.format, 'console');
    assert.equal((await loadText(file, { flags: { cache: false } })).config.cache, 'off');
    const on = await loadText('cache: off', { flags: { cacheDir: '/x' } });
    assert.equal((on.config.cache as CacheConfig).dir, '/x', '--cache-dir turns the cache on');
  });

  test('PORT only where nothing says where to listen, and on every address', async () => {
    const of = async (options: LoadOptions) => (await load(options)).config.listen.map(({ address }) => address);
    assert.deepEqual(await of({ env: { PORT: '8080' } }), [{ port: 8080 }]);
    assert.deepEqual(await of({ env: { PORT: '8080' }, flags: { listen: [':9'] } }), [{ port: 9 }]);
    assert.deepEqual(await of({ env: { PORT: '8080', ENTREPOT_LISTEN: ':7' } }), [{ port: 7 }]);
    assert.deepEqual(await of({ env: { PORT: '' } }), [{ host: '127.0.0.1', port: 5000 }]);
    assert.deepEqual(await problemsOf(load({ env: { PORT: 'tcp://1' } })), [
      'PORT  listen: found "tcp://1", expected a port such as 5000',
    ]);
  });

  test('DEBUG=1 only where nothing sets the level', async () => {
    const of = async (env: Record<string, string>) => (await load({ env })).config.log.level;
    assert.equal(await of({ DEBUG: '1' }), 'debug');
    assert.equal(await of({ DEBUG: 'express:*' }), 'info');
    assert.equal(await of({ DEBUG: '1', ENTREPOT_LOG__LEVEL: 'warn' }), 'warn');
  });

  test('paths in a file begin in its directory, those of variables and flags in the working directory', async () => {
    await write('etc/token', 'hush');
    await write('map.json', '{}');
    const path = await write(
      'etc/entrepot.yaml',
      'cache: {dir: blobs}\nregistries: {a.example: {upstreams: [{url: https://a.example, credentials: {username: u, password: {file: token}}}]}}',
    );
    const { config } = await load({ flags: { config: path }, env: { ENTREPOT_REGISTRY_MAP: 'map.json' } });
    assert.equal((config.cache as CacheConfig).dir, join(cwd, 'etc/blobs'));
    assert.equal(config.registryMap, join(cwd, 'map.json'));
    assert.deepEqual(config.registries['a.example']?.upstreams?.[0]?.credentials, {
      username: 'u',
      password: { file: join(cwd, 'etc/token') },
    });
  });

  test('a registry_map that is a URL stays one', async () => {
    const { config } = await loadText('registry_map: https://maps.example/registrymap.json?v=1');
    assert.equal(config.registryMap, 'https://maps.example/registrymap.json?v=1');
  });
});

describe('cache.min_free', () => {
  const rows = [
    ['5GB', 5e9],
    ['0', 0],
    ['5%', { share: 0.05 }],
    ['2.5 %', { share: 0.025 }],
  ] as const;
  for (const [text, expected] of rows) {
    test(`takes ${text}`, async () => {
      const { config } = await loadText(`cache: {min_free: ${text}}`);
      assert.deepEqual((config.cache as CacheConfig).minFree, expected);
    });
  }
});

describe('loadConfig() reports', () => {
  test('everything at once, each with file, line, column, key, what was found and what would do', async () => {
    await write(
      'wrong.yaml',
      `listen: [{}, x]
cachee: 1
max_size: 5
cache:
  dirr: 1
  tags: {fresh_for: x}
registries:
  "a b": {}
  apps:
    upstreams:
      - url: htp://x
        credentials: {usernam: u, password: 12345}
      - {}
log: {level: loud, access: yes}
timeouts: 5
limits: {max_connections: 0}
`,
    );
    assert.deepEqual(await problemsOf(load({ flags: { config: 'wrong.yaml' } })), [
      'wrong.yaml:1:10  listen[0].address: missing, expected an address such as 127.0.0.1:5000, [::1]:5000, :5000 (every address) or unix:/run/entrepot.sock',
      'wrong.yaml:1:14  listen[1]: found "x", expected an address such as 127.0.0.1:5000, [::1]:5000, :5000 (every address) or unix:/run/entrepot.sock',
      'wrong.yaml:2:1  cachee: unknown option; did you mean "cache"?',
      'wrong.yaml:3:1  max_size: unknown option; "max_size" belongs under cache',
      'wrong.yaml:5:3  cache.dirr: unknown option; did you mean "dir"?',
      'wrong.yaml:6:10  cache.tags.fresh_for: found "x", expected a length of time with its unit, such as 500ms, 30s, 10m or 1h30m',
      'wrong.yaml:8:3  registries: found the name "a b", expected a registry name in lower case: a host such as ghcr.io or localhost:5001, or a word such as apps',
      'wrong.yaml:11:9  registries.apps.upstreams[0].url: found "htp://x", expected an http:// or https:// address without a query or a password in it, e.g. https://ghcr.io',
      'wrong.yaml:12:9  registries.apps.upstreams[0].credentials.username: missing, expected a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}',
      'wrong.yaml:12:35  registries.apps.upstreams[0].credentials.password: found a number, expected a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}',
      'wrong.yaml:12:23  registries.apps.upstreams[0].credentials.usernam: unknown option; did you mean "username"?',
      'wrong.yaml:13:9  registries.apps.upstreams[1].url: missing, expected an http:// or https:// address without a query or a password in it, e.g. https://ghcr.io',
      'wrong.yaml:14:7  log.level: found "loud", expected debug or info or warn or error',
      'wrong.yaml:14:20  log.access: found "yes", expected true or false; did you mean true?',
      'wrong.yaml:15:1  timeouts: found 5, expected a map of read_header_timeout, read_timeout, write_timeout, idle_timeout, drain_delay, shutdown_timeout, client_stall_timeout, max_header_bytes',
      'wrong.yaml:16:10  limits.max_connections: found 0, expected a whole number from 1 to 1000000',
    ]);
  });

  const AUTH = 'credentials: {username: u, password: p}';
  /** A configuration, and what each of its problems begins with after the place. */
  const rows: readonly (readonly [string, ...string[]])[] = [
    ['listen: []', 'listen: found an empty list, expected an address'],
    ['listen: {address: ":1"}', 'listen: found a map, expected an address'],
    ['listen: true', 'listen: found true, expected an address'],
    ['listen: [{address: ":1", tls: {cert_file: x}}]', 'listen[0].tls.key_file: missing, expected the path'],
    ['listen: [{address: ":1", tls: {key_file: x}}]', 'listen[0].tls.cert_file: missing, expected the path'],
    [
      'listen: [{address: ":1", tls: {}}]',
      'listen[0].tls: found no certificate, expected cert_file and key_file, or acme',
    ],
    [
      'listen: [{address: ":1", tls: {cert_file: x, acme: {domains: [a.b]}}}]',
      'listen[0].tls: found acme and a certificate’s file, expected either acme, or cert_file and key_file',
    ],
    ['listen: [{address: ":1", tls: {acme: {}}}]', 'listen[0].tls.acme.domains: missing, expected a list of 1 to 100'],
    ['listen: [{address: ":1", tls: {acme: {domains: []}}}]', 'listen[0].tls.acme.domains: found an empty list'],
    [
      'listen: [{address: ":1", tls: {acme: {domains: ["*.a.b", 192.0.2.1, localhost, "[::1]", "a.b:443", "münchen.de"]}}}]',
      ...['"*.a.b", expected a host name such as mirror.example.com: HTTP-01 proves no wildcard', '"192.0.2.1"']
        .concat(['"localhost"', '"[::1]"', '"a.b:443"', '"münchen.de"'])
        .map((found, at) => `listen[0].tls.acme.domains[${at}]: found ${found}`),
    ],
    [
      'listen: [{address: ":1", tls: {acme: {domains: [A.b, a.B]}}}]',
      'listen[0].tls.acme.domains: found a.b a second time, expected each domain once',
    ],
    [
      'listen: [{address: ":1", tls: {acme: {domains: [a.b], server: "http://ca.example"}}}]',
      'listen[0].tls.acme.server: found "http://ca.example", expected letsencrypt, letsencrypt-staging, or the https://',
    ],
    [
      'listen: [{address: ":1", tls: {acme: {domains: [a.b], email: ops}}}]',
      'listen[0].tls.acme.email: found "ops", expected an e-mail address',
    ],
    [
      'listen: [{address: ":1", tls: {acme: {domains: [a.b], eab: {key_id: k}}}}]',
      'listen[0].tls.acme.eab.hmac_key: missing, expected a text',
    ],
    [
      'listen: [{address: ":1", tls: {acme: {domains: [a.b]}}}, {address: ":2", tls: {acme: {domains: [a.b, c.d]}}}]',
      'listen[1].tls.acme: found other settings for a.b than at listen[0].tls.acme, expected the same',
    ],
    [
      '{cache: off, listen: [{address: ":1", tls: {acme: {domains: [a.b]}}}]}',
      'listen[0].tls.acme: found no dir, expected one: with the cache off',
    ],
    ['listen: [":1", ":1"]', 'listen[1]: found :1 a second time'],
    ['listen: [":1", "127.0.0.1:1"]', 'listen[1]: found 127.0.0.1:1, which :1 under listen takes already'],
    ['{listen: ":1", admin: {listen: ":1"}}', 'admin.listen[0]: found :1, which is under listen already'],
    ['admin: {listen: 5000}', 'admin.listen[0]: found :5000, which 127.0.0.1:5000 under listen takes already'],
    [
      '{listen: "127.0.0.1:5099", admin: {listen: 5099}}',
      'admin.listen[0]: found :5099, which 127.0.0.1:5099 under listen takes',
    ],
    [
      '{listen: "0.0.0.0:1", admin: {listen: "127.0.0.1:1"}}',
      'admin.listen[0]: found 127.0.0.1:1, which 0.0.0.0:1 under listen takes',
    ],
    [
      '{forward_proxy: {enabled: true, listen: ":2"}, admin: {listen: "[::1]:2"}}',
      'admin.listen[0]: found [::1]:2, which :2 under forward_proxy.listen takes',
    ],
    ['admin: {listen: [":2", ":2"]}', 'admin.listen[1]: found :2 a second time'],
    [
      '{forward_proxy: {listen: ":2"}, admin: {listen: ":2"}}',
      'admin.listen[0]: found :2, which is under forward_proxy.listen already',
    ],
    ['admin: {listen: [{address: ":2", tls: {}}]}', 'admin.listen[0].tls: found no certificate'],
    ['access: {rules: [{who: anonymous, may: [admin]}]}', 'access.rules[0].may[0]: found admin for anonymous'],
    [
      'listen: [{address: ":1", redirect_to_https: true}]',
      'listen[0].redirect_to_https: found no HTTPS to redirect to',
    ],
    [
      'public_url: https://x/y',
      'public_url: found "https://x/y", expected an http:// or https:// address without a path',
    ],
    ['public_url: mirror.example.com', 'public_url: found "mirror.example.com"'],
    ['public_url: [https://x, y]', 'public_url[1]: found "y"'],
    ['public_url: [https://x/y]', 'public_url[0]: found "https://x/y"'],
    ['public_url: ["https://u:p@x"]', 'public_url[0]: found'],
    ['public_url: {a: b}', 'public_url: found a map'],
    ['domain_suffix: https://x', 'domain_suffix: found "https://x", expected a domain name without scheme'],
    ['default_registry: ftp://x', 'default_registry: found "ftp://x"'],
    ['default_registry: "a b"', 'default_registry: found "a b", expected the name of a registry'],
    ['registry_map: ftp://x', 'registry_map: found "ftp://x", expected the path or the http(s):// address'],
    ['known_registries: maybe', 'known_registries: found "maybe", expected true or false'],
    ['allow_any: 3', 'allow_any: found 3, expected false, true, or {deny'],
    [
      'allow_any: {deny: ["https://a.example"]}',
      'allow_any.deny[0]: found "https://a.example", expected a pattern of host',
    ],
    ['allow_any: {deny: [a.example/b]}', 'allow_any.deny[0]: found "a.example/b", expected a pattern of host names'],
    ['allow_any: {dny: []}', 'allow_any.dny: unknown option; did you mean "deny"?'],
    ['registries: [ghcr.io]', 'registries: found a list, expected a map of registry names'],
    ['registries: {GHCR.io: {}}', 'registries: found the name "GHCR.io", expected a registry name in lower case'],
    ['registries: {apps: {}}', 'registries.apps: found no upstreams, expected at least one'],
    ['registries: {apps: }', 'registries.apps: found no upstreams, expected at least one'],
    ['registries: {apps: https://x}', 'registries.apps: found "https://x", expected a map of aliases'],
    [
      'registries: {a.b: {upstreams: []}}',
      'registries["a.b"].upstreams: found an empty list, expected a list, each item an http:// or https:// address such as',
    ],
    ['registries: {a.b: {upstreams: [5]}}', 'registries["a.b"].upstreams[0]: found 5, expected an http'],
    ['registries: {a.b: {upstreams: [null]}}', 'registries["a.b"].upstreams[0]: found nothing, expected an http'],
    ['registries: {a.b: {upstreams: [https://x?token=hush]}}', 'registries["a.b"].upstreams[0]: found "https://x?***"'],
    ['registries: {a.b: {upstreams: [https://u:hush@x]}}', 'registries["a.b"].upstreams[0]: found "https://***@x"'],
    [
      'registries: {a.b: {delivery: teleport}}',
      'registries["a.b"].delivery: found "teleport", expected stream or redirect',
    ],
    ['registries: {a.b: {aliases: [x, x]}}', 'registries["a.b"].aliases[1]: found "x", which names a.b already'],
    [
      'registries: {a.b: {aliases: [c.d]}, c.d: {}}',
      'registries["a.b"].aliases[0]: found "c.d", which names c.d already',
    ],
    ['registries: {a.b: {aliases: ["a/b"]}}', 'registries["a.b"].aliases[0]: found "a/b", expected a short name'],
    [
      'registries: {a.b: {upstreams: [{url: https://x, credentials: {helper: x, foo: 1}}]}}',
      'registries["a.b"].upstreams[0].credentials.foo: unknown option; expected one of username, password, helper',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, credentials: hush}]}}',
      'registries["a.b"].upstreams[0].credentials: found "***", expected {username, password} or {helper}, or a list of such',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, credentials: [{username: u, password: p}, {helpr: x}]}]}}',
      'registries["a.b"].upstreams[0].credentials[1].helper: missing',
      'registries["a.b"].upstreams[0].credentials[1].helpr: unknown option; did you mean "helper"?',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, credentials: []}]}}',
      'registries["a.b"].upstreams[0].credentials: found an empty list, expected {username, password} or {helper}',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, credentials: {username: u, password: {envv: X}}}]}}',
      'registries["a.b"].upstreams[0].credentials.password.env: missing',
      'registries["a.b"].upstreams[0].credentials.password.envv: unknown option; did you mean "env"?',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, headers: {"a b": c}}]}}',
      'registries["a.b"].upstreams[0].headers: found the name "a b", expected the name of a header',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, headers: {Authorization: "hush\\nX: y"}}]}}',
      'registries["a.b"].upstreams[0].headers.Authorization: found a text of several lines, expected a text on one line',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, headers: {X-Number: 5}}]}}',
      'registries["a.b"].upstreams[0].headers.X-Number: found a number, expected a text on one line',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, capabilities: []}]}}',
      'registries["a.b"].upstreams[0].capabilities: found an empty list, expected a list, each item pull or resolve',
    ],
    [
      `registries: {a.b: {upstreams: [{url: https://x, name: n, ${AUTH}}, {url: https://y, name: n}]}}`,
      'registries["a.b"].upstreams[1].name: found "n" a second time',
    ],
    [
      'registries: {a.b: {upstreams: [{url: "http://x", tls: {insecure_skip_verify: true}}]}}',
      'registries["a.b"].upstreams[0].tls: found it with an http:// address',
    ],
    [
      'cache: {max_size: 50G}',
      'cache.max_size: found "50G", expected an amount of bytes from 1: a number with its unit',
    ],
    ['cache: {max_size: 0}', 'cache.max_size: found 0, expected an amount of bytes from 1'],
    ['cache: {min_free: 100%}', 'cache.min_free: found "100%", expected an amount of bytes such as 5GB, or a share'],
    ['cache: {platforms: [amd64]}', 'cache.platforms[0]: found "amd64", expected a platform such as linux/amd64'],
    ['cache: {platforms: []}', 'cache.platforms: found an empty list'],
    ['cache: {dir: ""}', 'cache.dir: found "", expected the path'],
    ['cache: {tags: sometimes}', 'cache.tags: found "sometimes", expected never, or a map'],
    ['cache: {tags: {rules: [{fresh_for: 1s}]}}', 'cache.tags.rules[0].match: missing'],
    ['cache: {tags: {rules: [{match: x, cooldown: 7}]}}', 'cache.tags.rules[0].cooldown: found 7, expected a length'],
    ['cache: on', 'cache: found "on", expected off, or a map'],
    ['fresh_for: 10m', 'fresh_for: unknown option; "fresh_for" belongs under cache.tags'],
    ['timeouts: {idle_timeout: 0}', 'timeouts.idle_timeout: found 0, expected a length of time above 0'],
    ['timeouts: {read_timeout: 30d}', 'timeouts.read_timeout: found "30d", expected a length of time below 24d'],
    ['timeouts: {idle_timeout: 10}', 'timeouts.idle_timeout: found 10, expected a length of time'],
    ['limits: {max_connections: 1.5}', 'limits.max_connections: found 1.5, expected a whole number'],
    [
      'transport: {allow_private: 10.0.0.0/8}',
      'transport.allow_private: found "10.0.0.0/8", expected a list, each item a host name, an address',
    ],
    [
      'transport: {first_fragment_len: 256}',
      'transport.first_fragment_len: found 256, expected a whole number from 0 to 255',
    ],
    ['transport: {max_idle_conns: many}', 'transport.max_idle_conns: found "many", expected a whole number'],
    [
      'transport: {outbound_proxy: proxy.test:3128}',
      'transport.outbound_proxy: found "proxy.test:3128", expected environment, none, or',
    ],
    [
      'transport: {outbound_proxy: "ftp://u:hush@p.test"}',
      'transport.outbound_proxy: found "ftp://***@p.test", expected environment',
    ],
    [
      'transport: {outbound_proxy: "u:hush@p.test:3128"}',
      'transport.outbound_proxy: found "***@p.test:3128", expected environment',
    ],
    [
      'transport: {outbound_proxy: "http://u:hush and hush@p.test"}',
      'transport.outbound_proxy: found "http://***@p.test", expected',
    ],
    ['transport: {outbound_proxy: "u:hush@hush @p.test"}', 'transport.outbound_proxy: found "***@p.test", expected'],
    [
      'transport: {outbound_proxy: "http://u:hu/hush@p.test"}',
      'transport.outbound_proxy: found "http://***@p.test", expected environment',
    ],
    [
      'transport: {dns: {servers: [8.8.8.8]}}',
      'transport.dns.servers[0]: found "8.8.8.8", expected https://host/path for DNS over HTTPS',
    ],
    [
      'transport: {dns: {servers: ["tls://1.1.1.1/x"]}}',
      'transport.dns.servers[0]: found "tls://1.1.1.1/x", expected https://host/path',
    ],
    [
      'transport: {dns: {bootstrap: [dns.google]}}',
      'transport.dns.bootstrap[0]: found "dns.google", expected an IP address',
    ],
    ['transport: {dns: {fallback: none}}', 'transport.dns.fallback: found none without any servers'],
    [
      'transport: {dns: {hosts: {a.test: b.test}}}',
      'transport.dns.hosts["a.test"]: found "b.test", expected an IP address',
    ],
    [
      'registries: {a.b: {upstreams: [{url: "https://x", transport: {first_fragment_len: -1}}]}}',
      'registries["a.b"].upstreams[0].transport.first_fragment_len: found -1, expected a whole number from 0 to 255',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, credentials: ["u:hush"]}]}}',
      'registries["a.b"].upstreams[0].credentials[0]: found "***", expected {username, password} or {helper}',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, headers: "Authorization: Bearer hush"}]}}',
      'registries["a.b"].upstreams[0].headers: found "***", expected header names with their values',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, credentials: {username: u, password: {env: X, file: Y}}}]}}',
      'registries["a.b"].upstreams[0].credentials.password.file: cannot stand beside env; expected one or the other',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, credentials: {username: u, password: p, helper: h}}]}}',
      'registries["a.b"].upstreams[0].credentials.helper: cannot stand beside username, password; expected one',
    ],
    [
      'registries: {a.b: {upstreams: [{url: https://x, password: hush}]}}',
      'registries["a.b"].upstreams[0].password: unknown option; "password" belongs under registries.<name>.upstreams[].credentials',
    ],
    ['- listen', 'found a list, expected a map of options'],
    ['listen', 'found a single value, expected a map of options'],
  ];

  for (const [text, ...expected] of rows) {
    test(text, async () => {
      const found = await problemsOf(loadText(text, { checkReferences: false }));
      assert.equal(found.length, expected.length, found.join('\n'));
      for (const [index, line] of found.entries()) {
        const [place, message = ''] = line.split(/ {2}(.*)/s);
        assert.match(place ?? '', /^ENTREPOT_CONFIG:1:\d+$/);
        assert.ok(message.startsWith(expected[index] ?? ''), `${message}\n  should begin with\n${expected[index]}`);
        assert.doesNotMatch(line, /hush/);
      }
    });
  }

  test('what is wrong between options beside what is wrong within one', async () => {
    const found = await problemsOf(loadText('log: {level: loud}\nlisten: [":1", ":1"]'));
    assert.equal(found.length, 2, found.join('\n'));
  });

  test('redirect_to_https beside tls', async () => {
    const text = 'listen: [{address: ":1", redirect_to_https: true, tls: {cert_file: c, key_file: k}}]';
    const [line] = await problemsOf(loadText(text, { checkReferences: false }));
    assert.match(line ?? '', /redirect_to_https: found it on a listener with tls/);
  });

  test('secrets and files that are not there', async () => {
    await write('empty', '');
    const text = (password: string) =>
      `registries: {a.b: {upstreams: [{url: https://x, credentials: {username: u, password: ${password}}}]}}`;
    const of = async (password: string) =>
      (await problemsOf(loadText(text(password))))[0]?.replace(/^.*\.password/, '');
    assert.equal(
      await of('{env: ABSENT}'),
      '.env: the variable ABSENT is not set; set it, or give the secret by {file: PATH}',
    );
    assert.equal(
      await of('{file: absent}'),
      `.file: ${join(cwd, 'absent')} does not exist; create it, or correct the path`,
    );
    assert.equal(await of('{file: empty}'), `.file: ${join(cwd, 'empty')} is empty`);
    await writeFile(join(cwd, 'break'), '\r\n');
    assert.equal(await of('{file: break}'), `.file: ${join(cwd, 'break')} is empty; put the secret into it`);
    await writeFile(join(cwd, 'blank'), ' \n\t\n');
    assert.equal(await of('{file: blank}'), `.file: ${join(cwd, 'blank')} is only white space; put the secret into it`);
    await writeFile(join(cwd, 'image'), Buffer.alloc(70_000, 'x'));
    assert.match(
      (await of('{file: image}')) ?? '',
      /has over 65536 bytes, expected a file that holds the secret alone$/,
    );
    await writeFile(join(cwd, 'lines'), 'hush\n\n');
    const env = {
      ENTREPOT_CONFIG: text('{file: lines}').replace('username: u', 'username: {env: ODD}'),
      ODD: '${USER}',
    };
    const { layerNotes } = await load({ env });
    const notes = layerNotes.map(formatProblem).join('\n');
    assert.match(
      notes,
      /username\.env: the variable ODD looks like a variable, and is taken as it stands\. Correct it/,
    );
    assert.match(notes, /password\.file: \S+lines ends with a line break, which is sent with it\. Correct it/);
    assert.doesNotMatch(notes, /hush|\$\{USER/);
    const [unset] = await problemsOf(load({ env: { ENTREPOT_CONFIG: text('{env: EMPTY}'), EMPTY: '' } }));
    assert.match(unset ?? '', /password\.env: the variable EMPTY is empty; put the secret into it$/);
    assert.equal(await of('{file: .}'), `.file: ${cwd} is a directory, expected a file`);
    assert.deepEqual(await problemsOf(loadText(text('{env: ABSENT}'), { checkReferences: false })), []);
    const [ca] = await problemsOf(loadText('transport: {ca_file: /absent/ca.pem}'));
    assert.match(ca ?? '', /transport\.ca_file: \/absent\/ca\.pem does not exist; create it, or correct the path/);
    assert.deepEqual(
      await problemsOf(loadText('cache: {dir: /absent/cache}')),
      [],
      'the cache makes its own directory',
    );
  });
});

describe('a credential helper that is not on the PATH', () => {
  const ENTREPOT_CONFIG = 'registries: {a.b: {upstreams: [{url: https://x, credentials: {helper: absent}}]}}';

  test('is noted with its name, its place and the remedy', async () => {
    const { layerNotes } = await load({ env: { ENTREPOT_CONFIG, PATH: `${cwd}:/nowhere` } });
    assert.deepEqual(layerNotes.map(formatProblem), [
      `ENTREPOT_CONFIG:1:63  registries["a.b"].upstreams[0].credentials.helper: the program docker-credential-absent is not on the PATH (${cwd}:/nowhere), so pulls with this credential fail. Install it there, or add its directory to the PATH of the server`,
    ]);
  });

  test('is not once it is there, nor where nothing is to be checked', async () => {
    assert.deepEqual((await load({ env: { ENTREPOT_CONFIG }, checkReferences: false })).layerNotes, []);
    await writeFile(join(cwd, 'docker-credential-absent'), '#!/bin/sh\n', { mode: 0o755 });
    const { layerNotes } = await load({ env: { ENTREPOT_CONFIG, PATH: `/nowhere:${cwd}` } });
    assert.deepEqual(layerNotes, []);
  });
});

describe('loadConfig() reads variables', () => {
  const problemsWith = (env: Record<string, string>) => problemsOf(load({ env }));

  test('as YAML, at any level', async () => {
    const { config } = await load({
      env: {
        ENTREPOT_LISTEN: '[::1]:5000',
        ENTREPOT_CACHE: '{max_size: 1GB}',
        ENTREPOT_CACHE__MAX_SIZE: '2GB',
        ENTREPOT_CACHE__TAGS__FRESH_FOR: '1h',
        ENTREPOT_KNOWN_REGISTRIES: 'false',
        ENTREPOT_LIMITS__MAX_CONNECTIONS: '5',
        ENTREPOT_TRANSPORT__ALLOW_PRIVATE: '[10.0.0.0/8]',
        ENTREPOT_REGISTRIES: '{"ghcr.io": , apps: {upstreams: [https://a.example]}}',
        ENTREPOT_REGISTRIES__APPS__DELIVERY: 'redirect',
        ENTREPOT_LOG__LEVEL: '',
      },
    });
    assert.deepEqual(config.listen[0]?.address, { host: '::1', port: 5000 });
    const cache = config.cache as CacheConfig;
    assert.equal(cache.maxSize, 2e9, 'the inner variable refines the outer one');
    assert.deepEqual(cache.tags, { freshFor: 3_600_000, rules: [], staleAfter: 2000, staleOnNotFound: false });
    assert.equal(config.knownRegistries, false);
    assert.equal(config.limits.maxConnections, 5);
    assert.deepEqual(config.transport.allowPrivate, ['10.0.0.0/8']);
    assert.deepEqual(Object.keys(config.registries), ['ghcr.io', 'apps']);
    assert.equal(config.registries['apps']?.delivery, 'redirect');
    assert.equal(config.log.level, 'info', 'an empty variable says nothing');
  });

  test('that switch a section off', async () => {
    assert.equal((await load({ env: { ENTREPOT_CACHE: 'off' } })).config.cache, 'off');
  });

  test('by the names the file has, in any case and with _ for other characters', async () => {
    const { config } = await loadText('registries: {my-apps.example: {}}', {
      env: { ENTREPOT_REGISTRIES__MY_APPS_EXAMPLE__LIBRARY: 'true' },
    });
    assert.equal(config.registries['my-apps.example']?.library, true);
  });

  test('and reports those that name no option, with the nearest that does', async () => {
    assert.deepEqual(await problemsWith({ ENTREPOT_CACHE_MAX_SIZE: '1' }), [
      'ENTREPOT_CACHE_MAX_SIZE  no option has this name; did you mean ENTREPOT_CACHE__MAX_SIZE?',
    ]);
    assert.deepEqual(await problemsWith({ ENTREPOT_CONFGI: 'x' }), [
      'ENTREPOT_CONFGI  no option has this name; did you mean ENTREPOT_CONFIG?',
    ]);
    assert.match((await problemsWith({ ENTREPOT_FOO: 'x' }))[0] ?? '', /two underscores/);
    assert.match((await problemsWith({ ENTREPOT_SOMETHING_ELSE_ALTOGETHER: 'x' }))[0] ?? '', /two underscores/);
    assert.match((await problemsWith({ ENTREPOT_REGISTRIES__A__UPSTREAMS__0__URL: 'x' }))[0] ?? '', /no option/);
  });

  test('and reports wrong values by the name of the variable', async () => {
    assert.deepEqual(await problemsWith({ ENTREPOT_LOG__LEVEL: 'loud' }), [
      'ENTREPOT_LOG__LEVEL  log.level: found "loud", expected debug or info or warn or error',
    ]);
    const [broken] = await problemsWith({ ENTREPOT_REGISTRIES: '{apps: {password: hush' });
    assert.match(broken ?? '', /^ENTREPOT_REGISTRIES {2}cannot be read as YAML/);
    assert.doesNotMatch(broken ?? '', /hush/);
  });

  test('and leaves alone what Kubernetes sets for a service called entrepot', async () => {
    const env = {
      ENTREPOT_SERVICE_HOST: '10.0.0.1',
      ENTREPOT_SERVICE_PORT: '5000',
      ENTREPOT_SERVICE_PORT_HTTP: '5000',
      ENTREPOT_PORT: 'tcp://10.0.0.1:5000',
      ENTREPOT_PORT_5000_TCP: 'tcp://10.0.0.1:5000',
      ENTREPOT_PORT_5000_TCP_ADDR: '10.0.0.1',
      ENTREPOT_PORT_5000_TCP_PORT: '5000',
      ENTREPOT_PORT_5000_TCP_PROTO: 'tcp',
      ENTREPOT_CACHE_SERVICE_HOST: '10.0.0.2',
    };
    assert.equal((await load({ env })).source, 'defaults');
  });
});

describe('loadConfig() of anything', () => {
  test('loads, or says in whole sentences what is wrong; it never fails otherwise', async () => {
    const key = fc.constantFrom(...outline(configSchema).flatMap(({ path }) => path), 'other');
    const inner = fc.constantFrom(
      'dir',
      'tags',
      'rules',
      'match',
      'upstreams',
      'url',
      'tls',
      'a.example',
      'address',
      'env',
      '',
    );
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom(null, true, 0, -1, 1.5, '', 'off', '10m', '1GB', ':1', 'https://x.example', 'x\ny'),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(inner, tie('any'), { maxKeys: 3 }),
      ),
    })).any;
    await fc.assert(
      fc.asyncProperty(fc.dictionary(key, value, { maxKeys: 4 }), async (written) => {
        const found = await problemsOf(loadText(JSON.stringify(written), { checkReferences: false }));
        for (const line of found) {
          assert.match(line, /^ENTREPOT_CONFIG:1:\d+ {2}\S/);
          assert.match(line, /expected |unknown option/);
          assert.doesNotMatch(line, /another value|another name|undefined|\[object/);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the directory of the cache of a wrong configuration', () => {
  for (const [what, text, flags, expected] of [
    ['is found beside what is wrong elsewhere', 'x: 1\ncache: {dir: /srv/cache}', {}, '/srv/cache'],
    ['and beside what is wrong with the cache', 'cache: {dir: /srv/cache, max_size: 5G}', {}, '/srv/cache'],
    ['is the default where none is given', 'x: 1', {}, '/cwd/data'],
    ['may be given by flag', 'x: 1', { cacheDir: 'mine' }, '/cwd/mine'],
    ['may be given by flag beside what is no YAML', 'listen: [', { cacheDir: 'mine' }, '/cwd/mine'],
    ['is unknown where the file is no YAML', 'listen: [', {}, undefined],
    ['is unknown where it is what is wrong', 'cache: {dir: [1]}', {}, undefined],
    ['is none where the cache is off', 'x: 1\ncache: off', {}, undefined],
  ] as const) {
    test(what, async () => {
      const options = { cwd: '/cwd', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text }, flags };
      await assert.rejects(loadConfig({ ...options, checkReferences: false }), (error) => {
        assert.ok(error instanceof ConfigError);
        assert.equal(error.cacheDir, expected);
        return true;
      });
    });
  }
});
