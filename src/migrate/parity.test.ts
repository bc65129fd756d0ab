import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { runImport } from '../../test/support/import-cases.ts';

/**
 * Each option of a program, in the least file that has it, with what becomes of it: the path of the option here, or a part of
 * the reason why it is not carried over. A row whose path is `-` is an option that needs nothing here, and says so.
 */
interface Row {
  readonly option: string;
  readonly input: string;
  readonly to?: string;
  readonly value?: unknown;
  readonly lost?: RegExp;
}

const rmirror = (option: string, json: string): Pick<Row, 'option' | 'input'> => ({
  option,
  input: `{"access_log": true, ${json}}`,
});
const crm = (option: string, yaml: string) => ({ option, input: `insecure_tls: false\n${yaml}\n` });
const hotCold = (option: string, yaml: string) => ({ option, input: `${yaml}\n` });
const crproxy = (option: string, line: string) => ({ option, input: line });
const config2026 = (option: string, json: string) => ({ option, input: `{"registryMap": {}, ${json}}` });
const wharf = (option: string, toml: string) => ({ option, input: toml });
const APPS = 'registries.apps.upstreams.0';

const PROGRAMS: Readonly<Record<string, readonly Row[]>> = {
  'Rewriting Mirror': [
    { ...rmirror('listen', '"listen": "127.0.0.1:5001"'), to: 'listen', value: '127.0.0.1:5001' },
    {
      ...rmirror('public_base_url', '"public_base_url": "https://m.example"'),
      to: 'public_url',
      value: 'https://m.example',
    },
    { option: 'access_log', input: '{"access_log": false}', to: 'log.access', value: false },
    {
      ...rmirror('tls.cert_file, tls.key_file', '"listen": ":5001", "tls": {"cert_file": "/c", "key_file": "/k"}'),
      to: 'listen.0.tls',
      value: { cert_file: '/c', key_file: '/k' },
    },
    ...['read_header_timeout', 'read_timeout', 'write_timeout', 'idle_timeout', 'shutdown_timeout'].map((name) => ({
      ...rmirror(`timeouts.${name}`, `"timeouts": {"${name}": "1m30s"}`),
      to: `timeouts.${name}`,
      value: '90s',
    })),
    {
      ...rmirror('timeouts.max_header_bytes', '"timeouts": {"max_header_bytes": 8192}'),
      to: 'timeouts.max_header_bytes',
      value: 8192,
    },
    {
      ...rmirror('timeouts.max_header_bytes, beyond', '"timeouts": {"max_header_bytes": 9000000}'),
      lost: /found 9000000, expected .*from 1024/,
    },
    ...['dial_timeout', 'keepalive', 'idle_conn_timeout', 'tls_handshake_timeout', 'response_header_timeout'].map(
      (name) => ({
        ...rmirror(`transport.${name}`, `"transport": {"${name}": "5s"}`),
        to: `transport.${name}`,
        value: '5s',
      }),
    ),
    ...['first_fragment_len', 'max_idle_conns', 'max_idle_conns_per_host', 'max_conns_per_host'].map((name) => ({
      ...rmirror(`transport.${name}`, `"transport": {"${name}": 7}`),
      to: `transport.${name}`,
      value: 7,
    })),
    ...['expect_continue_timeout', 'force_http2', 'disable_compression'].map((name) => ({
      ...rmirror(`transport.${name}`, `"transport": {"${name}": true}`),
      lost: /has no meaning here/,
    })),
    { ...rmirror('limits.max_inflight', '"limits": {"max_inflight": 5}'), to: 'limits.max_inflight', value: 5 },
    {
      ...rmirror('limits.max_inflight_wait', '"limits": {"max_inflight_wait": "2s"}'),
      to: 'limits.max_inflight_wait',
      value: '2s',
    },
    {
      ...rmirror(
        'routes[]',
        '"routes": [{"name": "n", "public_prefix": "/p/", "upstream": "h.example", "preserve_host": true}]',
      ),
      to: 'mirrors',
      value: [{ name: 'n', prefix: '/p', upstream: 'h.example', preserve_host: true }],
    },
  ],
  'Container Registry Mirrors': [
    { ...crm('listen', 'listen: ":8080"'), to: 'listen', value: ':8080' },
    {
      ...crm('allowed_hosts', 'allowed_hosts: [a.example, "^b[.]"]'),
      to: 'forward_proxy.allowed_hosts',
      value: ['a.example', '^b[.]'],
    },
    { ...crm('allowed_hosts by default', ''), to: 'forward_proxy', value: { enabled: true } },
    { option: 'insecure_tls', input: 'insecure_tls: true\n', to: 'transport.insecure_skip_verify', value: true },
    { ...crm('log_level', 'log_level: debug'), to: 'log.level', value: 'debug' },
    {
      ...crm('mitm', 'mitm: {enabled: true, ca_cert_path: /c, ca_key_path: /k}'),
      to: 'forward_proxy.mitm',
      value: { enabled: true, ca_cert_file: '/c', ca_key_file: '/k' },
    },
  ],
  'Mirror Registry': [
    { ...hotCold('server.port', 'server: {port: 80}\nregistry: {hot: {url: "http://h"}}'), to: 'listen', value: ':80' },
    ...['hot', 'cold'].flatMap((place) => [
      {
        ...hotCold(`registry.${place}.url`, `registry: {${place}: {url: "http://h"}}`),
        to: `${APPS}.url`,
        value: 'http://h',
      },
      {
        ...hotCold(
          `registry.${place}.username, password`,
          `registry: {${place}: {url: "http://h", username: u, password: p}}`,
        ),
        to: `${APPS}.credentials`,
        value: { username: 'u', password: 'p' },
      },
      {
        ...hotCold(`registry.${place}.headers`, `registry: {${place}: {url: "http://h", headers: {A: b}}}`),
        to: `${APPS}.headers`,
        value: { A: 'b' },
      },
    ]),
    ...['debug', 'info', 'warn', 'error'].map((level) => ({
      ...hotCold(`logging.level ${level}`, `registry: {hot: {url: "http://h"}}\nlogging: {level: ${level}}`),
      to: 'log.level',
      value: level,
    })),
    ...['json', 'console'].map((format) => ({
      ...hotCold(`logging.format ${format}`, `registry: {hot: {url: "http://h"}}\nlogging: {format: ${format}}`),
      to: 'log.format',
      value: format,
    })),
    { ...hotCold('MIRROR_SERVER_PORT', 'MIRROR_SERVER_PORT=80'), to: 'listen', value: ':80' },
    { ...hotCold('MIRROR_REGISTRY_HOT_URL', 'MIRROR_REGISTRY_HOT_URL=http://h'), to: `${APPS}.url`, value: 'http://h' },
    { ...hotCold('MIRROR_LOGGING_FORMAT', 'MIRROR_LOGGING_FORMAT=json'), to: 'log.format', value: 'json' },
    {
      ...hotCold('blobs: 307', 'registry: {hot: {url: "http://h"}}'),
      to: 'registries.apps.delivery',
      value: 'redirect',
    },
  ],
  crproxy: [
    { ...crproxy('-listen', 'crproxy -listen=:81'), to: 'listen', value: ':81' },
    { ...crproxy('-listen by default', 'crproxy'), to: 'listen', value: ':5000' },
    { ...crproxy('-domain-suffix', 'crproxy -domain-suffix m.example'), to: 'domain_suffix', value: 'm.example' },
    {
      ...crproxy('-registry-map', 'crproxy -registry-map https://h.example/map.json'),
      to: 'registry_map',
      value: 'https://h.example/map.json',
    },
    {
      ...crproxy('-default-registry', 'crproxy -default-registry=https://ghcr.io'),
      to: 'default_registry',
      value: 'ghcr.io',
    },
    { ...crproxy('-cache-dir', 'crproxy -cache-dir=/c'), to: 'cache', value: { dir: '/c/entrepot', tags: 'never' } },
    { ...crproxy('-cache-dir, none', 'crproxy'), to: 'cache', value: 'off' },
    { ...crproxy('-log-level', 'crproxy -log-level=warn'), to: 'log.level', value: 'warn' },
    { ...crproxy('DEBUG=1', 'DEBUG=1 crproxy'), to: 'log.level', value: 'debug' },
    { ...crproxy('http_proxy', 'http_proxy=http://p:1 crproxy'), lost: /the server reads this variable itself/ },
    { ...crproxy('-update', 'crproxy -update'), lost: /does not replace itself/ },
    { ...crproxy('ADMIN_PASSWORD', 'ADMIN_PASSWORD=x crproxy'), lost: /no admin page/ },
    { option: 'registry map', input: '{"apps": "https://a.example"}', to: `${APPS}.url`, value: 'https://a.example' },
    {
      option: 'registry map: an alias',
      input: '{"hub": "https://registry-1.docker.io"}',
      to: 'registries',
      value: { 'docker.io': { aliases: ['hub'] } },
    },
    {
      option: 'registry map: default',
      input: '{"default": "https://quay.io"}',
      to: 'default_registry',
      value: 'quay.io',
    },
    {
      ...config2026('registryMap', '"registryMap": {"apps": "https://a.example"}'),
      input: '{"registryMap": {"apps": "https://a.example"}}',
      to: `${APPS}.url`,
      value: 'https://a.example',
    },
    {
      ...config2026('defaultRegistry', '"defaultRegistry": "https://ghcr.io"'),
      to: 'default_registry',
      value: 'ghcr.io',
    },
    { ...config2026('domainSuffix', '"domainSuffix": "m.example"'), to: 'domain_suffix', value: 'm.example' },
    { ...config2026('logLevel', '"logLevel": "error"'), to: 'log.level', value: 'error' },
    { ...config2026('cacheDir', '"cacheDir": "/c"'), to: 'cache.dir', value: '/c/entrepot' },
    { ...config2026('listen', '"listen": ":82"'), to: 'listen', value: ':82' },
    { ...config2026('adminPassword', '"adminPassword": "hush"'), lost: /no admin page/ },
  ],
  'docxy and wharf': [
    {
      option: 'CERT_PATH, KEY_PATH',
      input: 'CERT_PATH=/c\nKEY_PATH=/k\n',
      to: 'listen',
      value: [
        { address: ':443', tls: { cert_file: '/c', key_file: '/k' } },
        { address: ':80', redirect_to_https: true },
      ],
    },
    { option: 'PORT', input: 'PORT=8080 docxy', to: 'listen', value: ':8080' },
    { ...wharf('server.http_port', '[server]\nhttp_port = 81\nbehind_proxy = true'), to: 'listen', value: ':81' },
    {
      ...wharf(
        'server.https_port, tls',
        '[server]\nhttps_port = 444\nhttp_enabled = false\nbehind_proxy = false\n[tls]\ncert_path = "/c"\nkey_path = "/k"',
      ),
      to: 'listen',
      value: [{ address: ':444', tls: { cert_file: '/c', key_file: '/k' } }],
    },
    {
      ...wharf('server.public_base_url', '[server]\nbehind_proxy = true\npublic_base_url = "https://m.example"'),
      to: 'public_url',
      value: 'https://m.example',
    },
    ...(
      [
        ['name, upstream_registry', '', `registries.r.example`, { upstreams: [{ url: 'https://r.example' }] }],
        ['hosts', 'hosts = ["h.example"]', 'registries.r.example.aliases', ['h.example']],
        [
          'auth_realm',
          'auth_realm = "https://t.example.net/token"',
          'registries.r.example.upstreams.0.token_realms',
          ['t.example.net'],
        ],
        ['auth_service', 'auth_service = "s"', 'default_registry', 'r.example'],
        ['auto_library_prefix', 'auto_library_prefix = true', 'registries.r.example.library', true],
      ] as const
    ).map(([option, toml, to, value]) => ({
      ...wharf(
        `[[registry.upstreams]] ${option}`,
        `[[registry.upstreams]]\nname = "n"\nupstream_registry = "https://r.example"\n${toml}\n`,
      ),
      to,
      value,
    })),
    {
      ...wharf(
        '[[registry.upstreams]] public_base_url',
        '[[registry.upstreams]]\nupstream_registry = "https://r.example"\npublic_base_url = "https://b.example"',
      ),
      lost: /made of the host that the client used/,
    },
  ],
  'Mirror-RegistryX': [
    {
      option: 'registries',
      input: 'mirror_groups: []\nregistries: [{id: local, url: "http://h"}]\n',
      to: 'registries.local.upstreams.0.url',
      value: 'http://h',
    },
    {
      option: 'mirrors[].source',
      input: 'mirrors: [{source: "docker.io/a/b:1"}]\n',
      to: 'cache.pin',
      value: ['docker.io/a/b:1'],
    },
    {
      option: 'settings.check_interval_minutes',
      input: `registries: [{id: local, url: "http://h"}]
mirrors: [{source: "docker.io/a/b:1", target: "localhost:5000/a/b:1", registry: local}]
settings: {check_interval_minutes: 30}
`,
      to: 'copy',
      value: [{ name: 'mirrors', images: [{ from: 'docker.io/a/b:1', to: 'local/a/b:1' }], schedule: 'every 30m' }],
    },
    {
      option: 'settings.check_interval_minutes, where nothing names its registry',
      input: 'mirror_groups: []\nsettings: {check_interval_minutes: 30}\n',
      lost: /settings\.check_interval_minutes: no image of the file names its registry and its target/,
    },
    {
      option: 'settings.check_interval_minutes, out of bounds',
      input: 'mirror_groups: []\nsettings: {check_interval_minutes: 0}\n',
      lost: /settings\.check_interval_minutes: found no interval from a minute to a year/,
    },
  ],
};

describe('each option of the starting points is carried over, or named with the reason', () => {
  for (const [program, rows] of Object.entries(PROGRAMS)) {
    describe(program, () => {
      for (const { option, input, to, value, lost } of rows) {
        test(option, async () => {
          const { code, out, err } = await runImport(['-'], { stdin: input });
          assert.equal(code, 0, err);
          if (lost !== undefined) assert.match(err, new RegExp(`Not carried over:\n[^]*${lost.source}`));
          if (to === undefined) return;
          const config: unknown = parse(out);
          assert.deepEqual(valueAt(config, to), value, out);
        });
      }
    });
  }
});

/** The value at a path. A key with dots in it is found too: the longest key that fits is taken. */
function valueAt(value: unknown, path: string): unknown {
  if (path === '') return value;
  if (typeof value !== 'object' || value === null) return undefined;
  const map = value as Readonly<Record<string, unknown>>;
  const fits = Object.keys(map).filter((key) => path === key || path.startsWith(`${key}.`));
  const key = fits.toSorted((a, b) => b.length - a.length)[0];
  return key === undefined ? undefined : valueAt(map[key], path.slice(key.length + 1));
}
