import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError, formatProblem } from '../problems.ts';
import { loadConfig } from './load.ts';

async function problemsOf(text: string): Promise<readonly string[]> {
  try {
    await loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text }, checkReferences: false });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(formatProblem);
  }
}

const CREDENTIALS = 'credentials: {username: …, password: …}';
const TLS = 'listen: [{address: ":5000", tls: {cert_file: …, key_file: …}}]';

describe('an option of another program is answered with what to write instead', () => {
  const rows: readonly (readonly [text: string, key: string, substitute: string])[] = [
    ['access_log: true', 'access_log', 'log: {access: true}'],
    [
      'proxy: http://proxy.test:3128',
      'proxy',
      'registries: {docker.io: {upstreams: [{url: …, credentials: {username: …, password: …}}]}} for a registry, transport: {outbound_proxy: …} for an outbound proxy,',
    ],
    ['public_base_url: https://a', 'public_base_url', 'public_url'],
    ['routes: []', 'routes', 'mirrors, each with name, prefix and upstream'],
    ['tls: {cert_file: a, key_file: b}', 'tls', TLS],
    ['insecure_tls: true', 'insecure_tls', 'transport: {insecure_skip_verify: true}'],
    ['ca_cert_path: /x', 'ca_cert_path', 'forward_proxy: {mitm: {ca_cert_file: …}}'],
    ['ca_key_path: /x', 'ca_key_path', 'forward_proxy: {mitm: {ca_key_file: …}}'],
    ['public_prefix: /x', 'public_prefix', 'mirrors: [{name: …, prefix: …, upstream: …}]'],
    ['preserve_host: true', 'preserve_host', 'mirrors: [{name: …, prefix: …, upstream: …, preserve_host: true}]'],
    ['log: {access_log: true}', 'log.access_log', 'access'],
    ['allowed_hosts: [ghcr.io]', 'allowed_hosts', 'forward_proxy: {enabled: true, allowed_hosts: […]}'],
    ['log_level: debug', 'log_level', 'log: {level: …}'],
    ['server: {port: 5000}', 'server', 'listen: :5000'],
    ['registry: {hot: {url: x}}', 'registry', 'registries: {NAME: {upstreams: […]}}, hot first, then cold'],
    ['logging: {level: info}', 'logging', 'log: {level: …, format: …}'],
    ['registryMap: m.json', 'registryMap', 'registry_map'],
    ['domainSuffix: a.b', 'domainSuffix', 'domain_suffix'],
    ['cacheDir: /x', 'cacheDir', 'cache: {dir: …}'],
    ['cache-dir: /x', 'cache-dir', 'cache: {dir: …}'],
    ['CERT_PATH: /x', 'CERT_PATH', TLS],
    ['port: 0800', 'port', 'listen: :5000'],
    ['forward_proxy: {mitm: {ca_cert_path: /x}}', 'forward_proxy.mitm.ca_cert_path', 'ca_cert_file'],
    ['forward_proxy: {mitm: {ca_key_path: /x}}', 'forward_proxy.mitm.ca_key_path', 'ca_key_file'],
    ['transport: {insecure_tls: true}', 'transport.insecure_tls', 'insecure_skip_verify: true'],
    ['cache: {rootdirectory: /x}', 'cache.rootdirectory', 'dir'],
    [
      'registries: {a.b: {upstreams: [{url: "https://a", token: x}]}}',
      'registries["a.b"].upstreams[0].token',
      CREDENTIALS,
    ],
    [
      'registries: {a.b: {upstreams: [{url: "https://a", insecure: true}]}}',
      'registries["a.b"].upstreams[0].insecure',
      'tls: {insecure_skip_verify: true}',
    ],
  ];
  for (const [text, key, substitute] of rows) {
    test(text, async () => {
      const [problem = '', ...more] = await problemsOf(text);
      assert.deepEqual(more, []);
      assert.match(problem, /^ENTREPOT_CONFIG:1:\d+ {2}/);
      assert.equal(problem.split('  ')[1], `${key}: unknown option; write ${substitute} instead`);
    });
  }

  test('a route of Rewriting Mirror as it was', async () => {
    const problems = await problemsOf('mirrors: [{name: a, public_prefix: /x, upstream: a}]');
    assert.ok(problems.some((each) => each.endsWith('mirrors[0].public_prefix: unknown option; write prefix instead')));
  });
});
