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

const hinted: readonly (readonly [text: string, end: string])[] = [
  ['cache: {max_size: 50}', '50 alone is 50 bytes; did you mean 50GB? (bytes are written 50B)'],
  ['access: {rules: [{who: Anonymous, may: [status]}]}', 'did you mean anonymous?'],
  ['access: {rules: [{who: [alice, ANONYMOUS], may: [status]}]}', 'did you mean anonymous?'],
  ['access: {rules: [{who: "al\u200bice", may: [status]}]}', 'it has an invisible character (U+200B); leave it out'],
  [
    'access: {groups: {a: ["zoe\u0308"]}}',
    'it is not in the form NFC of Unicode, and would look like another name; write zo\u00eb, which is',
  ],
  [
    'access: {rules: [{who: "token:zoe\u0308", may: [status]}]}',
    'it is not in the form NFC of Unicode, and would look like another name; write token:zo\u00eb, which is',
  ],
  [
    '{access: {}, forward_proxy: {user: "al\u200bice", password: long enough}}',
    'it has an invisible character (U+200B); leave it out',
  ],
  ['cache: {max_size: "50"}', 'did you mean 50GB? (bytes are written 50B)'],
  ['cache: {max_size: 50G}', 'write 50GB (powers of 1000) or 50GiB (powers of 1024)'],
  ['registries: {docker.io: https://ghcr.io}', 'an address belongs under upstreams: {upstreams: [URL]}'],
  ['cache: {max_size: 50 Gi}', 'write 50GB (powers of 1000) or 50GiB (powers of 1024)'],
  ['cache: {max_size: 50gigs}', 'write 50GB (powers of 1000) or 50GiB (powers of 1024)'],
  ['cache: {max_size: 500 megabytes}', 'write 500MB (powers of 1000) or 500MiB (powers of 1024)'],
  ['cache: {manifests_in_memory: 64}', 'did you mean 64MB? (bytes are written 64B)'],
  ['timeouts: {max_header_bytes: 16}', '16 alone is 16 bytes; did you mean 16KiB? (bytes are written 16B)'],
  ['cache: {min_free: 5}', '5 alone is 5 bytes; did you mean 5GB or 5%? (bytes are written 5B)'],
  ['limits: {per_client: {max_bandwidth: 20}}', 'did you mean 20GB? (bytes are written 20B)'],
  ['timeouts: {idle_timeout: 30}', 'did you mean 30s?'],
  ['timeouts: {idle_timeout: 30000}', 'did you mean 30s, or 30000s?'],
  ['timeouts: {idle_timeout: 30000000000}', 'did you mean 30s, or 30000000000s?'],
  ['timeouts: {idle_timeout: 30 seconds}', 'did you mean 30s?'],
  ['timeouts: {idle_timeout: 5 min}', 'did you mean 5m?'],
  ['cache: {tags: {fresh_for: 600}}', 'did you mean 600s?'],
  ['cache: {verify_after: 1w}', 'did you mean 7d?'],
  ['cache: {verify_after: 2 weeks}', 'did you mean 14d?'],
  ['transport: {allow_private: [10.0.0.0/40]}', 'a prefix of this family has at most 32 bits'],
  ['transport: {allow_private: ["fd00::/129"]}', 'a prefix of this family has at most 128 bits'],
  ['trusted_proxies: [10.0.0.0/40]', 'a prefix of this family has at most 32 bits'],
  ['forward_proxy: {allow_private: [10.0.0.0/33]}', 'a prefix of this family has at most 32 bits'],
  ['transport: {allow_private: 10.0.0.0/8}', 'a list is written [a, b], or with "- " before each item'],
  ['cache: {dir: ~/cache}', '~ is not expanded: write the whole path, such as /home/me/cache'],
  ['registry_map: ~/map.json', '~ is not expanded: write the whole path, such as /home/me/cache'],
  ['transport: {ca_file: ~/ca.pem}', '~ is not expanded: write the whole path, such as /home/me/cache'],
  ['mirrors: [{name: a, prefix: github, upstream: github.com}]', 'did you mean /github?'],
  ['cache: {platforms: [linux/x86_64]}', 'did you mean linux/amd64?'],
  ['cache: {platforms: [linux/aarch64]}', 'did you mean linux/arm64?'],
  ['cache: {platforms: [linux/armv7]}', 'did you mean linux/arm/v7?'],
  ['cache: {platforms: [Linux/AMD64]}', 'did you mean linux/amd64?'],
  ['cache: {platforms: [arm64]}', 'did you mean linux/arm64?'],
  ['transport: {dns: {servers: [8.8.8.8]}}', 'did you mean https://8.8.8.8/dns-query?'],
  ['transport: {dns: {servers: ["https://dns.google"]}}', 'did you mean https://dns.google/dns-query?'],
  ['log: {access: on}', 'did you mean true?'],
  ['log: {access: No}', 'did you mean false?'],
  ['log: {access: 0}', 'did you mean false?'],
  ['limits: {max_connections: "1,000"}', 'did you mean 1000, without quotes or separators?'],
  ['listen: 127.0.0.1', 'did you mean 127.0.0.1:5000?'],
  ['listen: http://127.0.0.1:5000/', 'write 127.0.0.1:5000 without the scheme; tls belongs to {address, tls: {…}}'],
  ['listen: /run/entrepot.sock', 'did you mean unix:/run/entrepot.sock?'],
  ['listen: ["::1:5000"]', 'an IPv6 address needs brackets, as in [::1]:5000'],
  ['domain_suffix: 12', 'a text that looks like a number needs quotes'],
  ['default_registry: true', 'a text that looks like a truth value needs quotes'],
];

describe('a refused value comes with what was probably meant', () => {
  for (const [text, end] of hinted) {
    test(text, async () => {
      const [problem = '', ...more] = await problemsOf(text);
      assert.deepEqual(more, []);
      assert.ok(problem.endsWith(`; ${end}`), problem);
    });
  }
});

describe('no hint proposes what would be refused too', () => {
  const texts = [
    'timeouts: {read_header_timeout: 0}',
    'transport: {dns: {bootstrap: [dns.google]}}',
    'transport: {dns: {hosts: {a.example: b.example}}}',
    'cache: {platforms: ["linux/*"]}',
    'timeouts: {max_header_bytes: 99999999}',
  ];
  for (const text of texts) {
    test(text, async () => {
      const [problem = 'no problem', ...more] = await problemsOf(text);
      assert.deepEqual(more, []);
      assert.match(problem, /, expected /);
      assert.doesNotMatch(problem, /did you mean/);
    });
  }
});

describe('every block of addresses is checked', () => {
  const bad = [
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0/8',
    '300.0.0.0/8',
    'a.example/8',
    '::/129',
    '10.0.0.0/8/8',
    '10.0.0.0-10.0.0.9',
    '*',
  ];
  const options = ['trusted_proxies', 'transport: {allow_private', 'forward_proxy: {allow_private'];
  for (const option of options) {
    const close = option.includes('{') ? '}' : '';
    for (const block of bad) {
      test(`${option}: ${block}`, async () => {
        const problems = await problemsOf(`${option}: ["${block}"]${close}`);
        assert.equal(problems.length, 1, `${block} was taken`);
      });
    }
    test(`${option}: good ones`, async () => {
      assert.deepEqual(await problemsOf(`${option}: [10.0.0.0/8, 192.0.2.1, "fd00::/8", "::1"]${close}`), []);
    });
  }
  test('names too, where names are valid', async () => {
    assert.deepEqual(await problemsOf('transport: {allow_private: [localhost, storage.lan, "[::1]"]}'), []);
  });
});
