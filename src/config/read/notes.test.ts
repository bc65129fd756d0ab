import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatProblem } from '../problems.ts';
import { loadConfig } from './load.ts';
import { findNotes } from './notes.ts';

/** The notes on a configuration, a line for each. */
async function notesOn(text: string, env: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const { config, settings } = await loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text, ...env } });
  return findNotes(config, settings).map(formatProblem);
}

const WITH_CREDENTIALS = 'registries: {apps: {upstreams: [{url: "https://a.example", credentials: {helper: x}}]}}';
const WITHOUT = 'registries: {apps: {upstreams: ["https://a.example"]}}';
const PUBLISHED =
  /can be reached from other machines, so it (?:shows them of apps only what is public|refuses them apps): .* private: true/;

describe('credentials beyond loopback are noted with the listener’s place', () => {
  const reachable: readonly (readonly [listen: string, shown: string])[] = [
    ['0.0.0.0:5000', '0.0.0.0:5000'],
    [':5000', ':5000'],
    ['5000', ':5000'],
    ['"*:5000"', ':5000'],
    ['"[::]:5000"', '[::]:5000'],
    ['192.168.1.4:5000', '192.168.1.4:5000'],
    ['203.0.113.7:5000', '203.0.113.7:5000'],
    ['"[fe80::1]:5000"', '[fe80::1]:5000'],
    ['"[::ffff:10.0.0.1]:5000"', '[::ffff:10.0.0.1]:5000'],
    ['mirror.lan:5000', 'mirror.lan:5000'],
  ];
  for (const [listen, shown] of reachable) {
    test(`on ${listen}`, async () => {
      const [note = '', ...more] = await notesOn(`${WITH_CREDENTIALS}\nlisten: ${listen}`);
      assert.deepEqual(more, []);
      assert.match(note, PUBLISHED);
      assert.ok(note.startsWith(`ENTREPOT_CONFIG:2:1  listen: ${shown} can be reached`), note);
      assert.deepEqual(await notesOn(`${WITHOUT}\nlisten: ${listen}`), []);
    });
  }

  for (const listen of [
    '127.0.0.1:5000',
    '127.8.9.1:5000',
    'localhost:5000',
    '"[::1]:5000"',
    '"[::ffff:127.0.0.1]:5000"',
    'unix:/run/a.sock',
  ]) {
    test(`not on ${listen}`, async () => {
      assert.deepEqual(await notesOn(`${WITH_CREDENTIALS}\nlisten: ${listen}`), []);
    });
  }

  test('of several listeners, the first that other machines reach', async () => {
    const [note = ''] = await notesOn(`${WITH_CREDENTIALS}\nlisten: ["127.0.0.1:1", "unix:/a", ":2"]`);
    assert.match(note, /^ENTREPOT_CONFIG:2:36 {2}listen\[2\]: :2 can/);
  });

  test('not where the listener only redirects to HTTPS', async () => {
    const listen = 'listen: [{address: ":80", redirect_to_https: true}, "127.0.0.1:5000"]';
    assert.deepEqual(await notesOn(`${WITH_CREDENTIALS}\n${listen}\npublic_url: https://m.example`), []);
  });

  test('where a variable opens the listener', async () => {
    assert.match((await notesOn(WITH_CREDENTIALS, { PORT: '8080' })).join(), /^PORT {2}listen: :8080 can be reached/);
    assert.match((await notesOn(WITH_CREDENTIALS, { ENTREPOT_LISTEN: ':1' })).join(), /^ENTREPOT_LISTEN {2}listen: :1/);
  });

  test('on a listener of the forward proxy alone, which serves images too', async () => {
    const text = `${WITH_CREDENTIALS}\nforward_proxy: {enabled: true, listen: ":3128", user: u, password: p}`;
    assert.match((await notesOn(text)).join('\n'), /forward_proxy\.listen: :3128 can be reached/);
  });

  const ways: readonly (readonly [what: string, registries: string])[] = [
    ['a user', 'registries: {apps: {upstreams: [{url: "https://a", credentials: {username: u, password: hush}}]}}'],
    ['several', 'registries: {apps: {upstreams: [{url: "https://a", credentials: [{helper: x}, {helper: y}]}]}}'],
    ['a header', 'registries: {apps: {upstreams: [{url: "https://a", headers: {Authorization: hush}}]}}'],
    ['a header of a site', 'registries: {apps: {upstreams: [{url: "https://a", headers: {PRIVATE-TOKEN: hush}}]}}'],
    [
      'the second upstream',
      'registries: {apps: {upstreams: ["https://b", {url: "https://a", credentials: {helper: x}}]}}',
    ],
    ['a mirror route', 'mirrors: [{name: apps, prefix: /a, upstream: a, headers: {Cookie: hush}}]'],
  ];
  for (const [what, registries] of ways) {
    test(`by ${what}`, async () => {
      const notes = (await notesOn(`${registries}\nlisten: :5000`)).join('\n');
      assert.match(notes, PUBLISHED);
      assert.doesNotMatch(notes, /hush/);
    });
  }
  test('an ordinary header is no credential', async () => {
    const header = 'registries: {apps: {upstreams: [{url: "https://a", headers: {User-Agent: x}}]}}\nlisten: :5000';
    assert.deepEqual(await notesOn(header), []);
  });
});

test('a header that may be a key counts as a credential, whatever its name; one that says who asks does not', async () => {
  const withHeader = (name: string) =>
    notesOn(`listen: ":1"\nregistries: {apps: {upstreams: [{url: "https://a.example", headers: {${name}: x}}]}}`);
  const [note = '', ...more] = await withHeader('X-Team');
  assert.match(note, PUBLISHED);
  assert.deepEqual(more, []);
  assert.deepEqual(await withHeader('User-Agent'), []);
});

describe('what is valid and dangerous is noted with its place and remedy', () => {
  const table: readonly (readonly [text: string, expected: RegExp])[] = [
    ['{listen: ":1", allow_any: true}', /:1:16 {2}allow_any: every client that reaches :1 can pull from any/],
    ['{listen: ":1", allow_any: {deny: [x.example]}}', /allow_any: every client/],
    [
      '{listen: ":1", forward_proxy: {enabled: true, anonymous: true}}',
      /:1:47 {2}forward_proxy\.anonymous: .*Set forw/,
    ],
    ['forward_proxy: {enabled: true, listen: ":2", anonymous: true}', /anonymous: every client that reaches :2/],
    ['forward_proxy: {enabled: true, allowed_hosts: [ghcr.io, ".*"]}', /allowed_hosts\[1\]: "\.\*" matches every host/],
    ['forward_proxy: {enabled: true, allowed_hosts: ["^.+$"]}', /matches every host.*Name the hosts/],
    ['forward_proxy: {allowed_hosts: [a.test]}', /forward_proxy: the proxy is off/],
    ['forward_proxy: {enabled: true, allow_private: ["0.0.0.0/0"]}', /allow_private\[0\]: 0\.0\.0\.0\/0 allows every/],
    [
      'trusted_proxies: [10.1.2.3/8]',
      /:1:19 {2}trusted_proxies\[0\]: .* every address in 10\.0\.0\.0\/8\. Write .* 10\.1\.2\.3 for/,
    ],
    ['transport: {allow_private: [10.1.255.3/20]}', /allow_private\[0\]: .* every address in 10\.1\.240\.0\/20/],
    ['forward_proxy: {enabled: true, allow_private: [10.0.0.1/31]}', /every address in 10\.0\.0\.0\/31/],
    ['limits: {max_inflight_wait: 5s}', /limits\.max_inflight_wait: it has no effect .* Set limits\.max_inflight/],
    ['limits: {max_waiting: 5}', /limits\.max_waiting: it has no effect/],
    ['limits: {per_client: {burst: 5}}', /limits\.per_client\.burst: .* Set requests_per_second/],
    [
      'registries: {a: {upstreams: [{url: "https://a.b", headers: {Host: c.d}}]}}',
      /headers\.Host: it has no effect: this server sets it/,
    ],
    [
      'mirrors: [{name: m, prefix: /m, upstream: m, headers: {Transfer-Encoding: chunked}}]',
      /headers\.Transfer-Encoding: it has no effect/,
    ],
    ['transport: {insecure_skip_verify: true}', /:1:13 {2}transport\.insecure_skip_verify: no certificate.*ca_file/],
    ['transport: {allow_private: ["::/0"]}', /transport\.allow_private\[0\]: ::\/0 allows every private/],
    [
      'registries: {a.b: {upstreams: [{url: "https://a.b", tls: {insecure_skip_verify: true}}]}}',
      /a\.b"\]\.upstreams\[0\]\.tls\.insecure_skip_verify: the certificate for a\.b is not checked/,
    ],
    ['mirrors: [{name: m, prefix: /m, upstream: m, tls: {insecure_skip_verify: true}}]', /mirrors\[0\]\.tls\.insecure/],
    [
      'registries: {a: {upstreams: [{url: "http://a.b", credentials: {helper: x}}]}}',
      /credentials: the credentials for a go to http:\/\/a\.b unencrypted.*https/,
    ],
    [
      'registries: {a: {upstreams: [{url: "http://a.b", headers: {X-Api-Key: k}}]}}',
      /headers\.X-Api-Key: .* unencrypted/,
    ],
    [
      'mirrors: [{name: m, prefix: /m, upstream: "http://m", credentials: {helper: x}}]',
      /mirrors\[0\]\.credentials: .* unencrypted/,
    ],
    [
      '{mirrors: [{name: m, prefix: /m, upstream: m, credentials: {helper: x}}], access: {rules: [{who: anonymous, may: [pull], on: ["mirror:m/**"], private: true}]}}',
      /mirrors\[0\]\.methods: .*can send POST with the credentials for m/,
    ],
    [
      'registries: {a: {upstreams: [{url: "https://a.b", token_realms: ["*.com"]}]}}',
      /token_realms\[0\]: \*\.com covers every host/,
    ],
    [
      'access: {rules: [{who: alice, may: [pull], on: ["**"], private: true}]}',
      /rules\[0\]\.private: without effect: a rule for users covers private/,
    ],
    [
      'access: {rules: [{who: [a, anonymous], may: [pull, status], on: ["**"]}]}',
      /:1:52 {2}access\.rules\[0\]\.may\[1\]: opens \/metrics, the API and the page to every client: .*Leave status out/,
    ],
    [
      '{admin: {enabled: false}, access: {rules: [{who: anonymous, may: [status]}]}}',
      /access\.rules\[0\]\.may(?:\[0\])?: opens \/metrics to every client\./,
    ],
    [
      '{admin: {enabled: false, listen: "127.0.0.1:5001"}}',
      /:1:26 {2}admin\.listen: without effect: admin\.enabled is false\. Set/,
    ],
    [
      'access: {rules: [{who: anonymous, may: [status], private: true}]}',
      /rules\[0\]\.private: without effect: status is for no repository; leave it out/,
    ],
    [
      '{mirrors: [{name: m, prefix: /m, upstream: m, credentials: {helper: x}}], access: {rules: [{who: anonymous, may: [pull], on: ["mirror:*/**"]}]}}',
      /rules\[0\]\.on: does not open m, whose credentials could read what is private\. Add private: true/,
    ],
    [
      'access: {rules: [{who: alice, may: [status, proxy]}]}',
      /:1:\d+ {2}access\.rules\[0\]\.may\[1\]: without effect: the forward proxy is off\. Set forward_proxy\.enabled/,
    ],
    [
      'access: {groups: {ops: []}, rules: [{who: "@ops", may: [status]}]}',
      /access\.groups\.ops: empty, so a rule for @ops is for no user\. Name its users/,
    ],
    ['public_url: []', /:1:1 {2}public_url: empty, which is as without it\. Name the address/],
    ['trusted_proxies: ["0.0.0.0/0"]', /:1:19 {2}trusted_proxies\[0\]: 0\.0\.0\.0\/0 covers.*Name the addresses/],
    ['trusted_proxies: ["128.0.0.0/1"]', /trusted_proxies\[0\]/],
    ['trusted_proxies: ["::/0"]', /trusted_proxies\[0\]/],
    ...[
      ['"***"', /is \*\*\*, by which secrets are shown/],
      ['"${TOKEN}"', /looks like a variable.*Write \{env: NAME\}/],
      ['" hush"', /begins or ends with white space.*on one line/],
      ['"hush\\n"', /ends with a line break/],
      ['"hush\\nhush"', /has several lines/],
    ].map(
      ([password, expected]) =>
        [
          `registries: {a: {upstreams: [{url: "https://a.b", credentials: {username: u, password: ${String(password)}}}]}}`,
          expected as RegExp,
        ] as const,
    ),
    [
      'registries: {a: {upstreams: [{url: "https://a.b", token_realms: ["http://auth.b"]}]}}',
      /token_realms\[0\]: the credentials for a may go to http:\/\/auth\.b unencrypted.*https realm/,
    ],
    [
      'transport: {force_http2: true}',
      /transport\.force_http2: accepted without effect: upstreams are reached by HTTP\/1\.1/,
    ],
  ];
  for (const [text, expected] of table) {
    test(text, async () => assert.match((await notesOn(text)).join('\n'), expected));
  }

  const harmless = [
    'transport: {force_http2: null}',
    'allow_any: true',
    'access: {groups: {ops: []}, rules: [{who: alice, may: [status]}]}',
    '{forward_proxy: {enabled: true}, access: {rules: [{who: alice, may: [proxy]}]}}',
    'public_url: https://mirror.example.com',
    'forward_proxy: {enabled: true, anonymous: true}',
    '{listen: ":1", forward_proxy: {enabled: true, anonymous: true, user: u, password: p}}',
    '{listen: ":1", forward_proxy: {enabled: true, listen: "127.0.0.1:2", anonymous: true}}',
    'forward_proxy: {enabled: true, allowed_hosts: ["\\\\.example\\\\.com$", "^[a-z]+\\\\.test$"]}',
    'trusted_proxies: [10.0.0.0/8, "fd00::/16", unix]',
    'transport: {allow_private: [10.0.0.0/8], insecure_skip_verify: false}',
    'registries: {a: {upstreams: [{url: "http://localhost:1", credentials: {helper: x}}, {url: "http://[::1]:1", credentials: {helper: x}}]}}',
    '{listen: ":1", mirrors: [{name: m, prefix: /m, upstream: m}]}',
    'registries: {a: {upstreams: [{url: "https://a.b", token_realms: ["*.b.com"]}]}}',
    'registries: {a: {upstreams: [{url: "https://a.b", token_realms: ["http://localhost:81", "https://auth.c/"]}]}}',
    'transport: {dial_timeout: 5s}',
  ];
  for (const text of harmless) test(`not ${text}`, async () => assert.deepEqual(await notesOn(text), []));
});

describe('an ordered certificate without a plain listener', () => {
  const https = '{address: ":443", tls: {acme: {domains: [mirror.example.com]}}}';

  test('is noted with the remedy', async () => {
    const [note = '', ...more] = await notesOn(`listen: [${https}, "unix:/run/a.sock"]`);
    assert.deepEqual(more, []);
    assert.match(
      note,
      /^ENTREPOT_CONFIG:1:\d+ {2}listen\[0\]\.tls\.acme: no listener without tls answers HTTP-01.*Add \{address: ":80"/,
    );
  });

  test('is not where there is one, on whatever port', async () => {
    assert.deepEqual(await notesOn(`listen: [${https}, {address: ":8080", redirect_to_https: true}]`), []);
  });
});

describe('what stands in a list twice is noted with its place and the remedy', () => {
  const table: readonly (readonly [text: string, expected: RegExp])[] = [
    [
      'registries: {a: {upstreams: ["https://a.b", "https://c.d", "https://A.b:443/"]}}',
      /:1:60 {2}registries\.a\.upstreams\[2\]: https:\/\/a\.b is upstreams\[0\] already: .*Remove one/,
    ],
    [
      'registries: {a: {upstreams: [{url: "https://a.b", name: x}, {url: "https://a.b", name: y}]}}',
      /upstreams\[1\]: https:\/\/a\.b is upstreams\[0\] already/,
    ],
    [
      'registries: {a: {upstreams: [{url: "https://a.b", credentials: [{helper: x}, {helper: y}, {helper: x}]}]}}',
      /upstreams\[0\]\.credentials\[2\]: it is the same as credentials\[0\]/,
    ],
    ['cache: {pin: [nginx, alpine, nginx]}', /cache\.pin\[2\]: "nginx" stands in this list already, at \[0\]/],
    ['cache: {platforms: [linux/amd64, linux/amd64]}', /cache\.platforms\[1\]: "linux\/amd64" stands/],
    [
      'transport: {dns: {servers: ["tls://1.1.1.1", "tls://1.1.1.1"]}}',
      /dns\.servers\[1\]: "tls:\/\/1\.1\.1\.1" stands/,
    ],
  ];
  for (const [text, expected] of table) {
    test(text, async () => {
      const [note = '', ...more] = await notesOn(text);
      assert.deepEqual(more, []);
      assert.match(note, expected);
    });
  }

  const harmless = [
    'registries: {a: {upstreams: [{url: "https://a.b", capabilities: [resolve]}, {url: "https://a.b", capabilities: [pull]}]}}',
    'registries: {a: {upstreams: [{url: "https://a.b", repository_prefix: x}, {url: "https://a.b", repository_prefix: y}]}}',
    'registries: {a: {upstreams: [{url: "https://a.b", credentials: {helper: x}}, "https://a.b"]}}',
    'registries: {a: {upstreams: ["https://a.b"]}, c: {upstreams: ["https://a.b"]}}',
  ];
  for (const text of harmless) test(`not ${text}`, async () => assert.deepEqual(await notesOn(text), []));
});

describe('audit mode is noted', () => {
  test('with its place, and on loopback too', async () => {
    const [note = '', ...others] = await notesOn('access: {audit: true}');
    assert.match(
      note,
      /access\.audit: pulls of public content that no rule allows are let through .*access\.would_deny/,
    );
    assert.deepEqual(others, []);
  });

  test('only where it is on', async () => {
    assert.deepEqual(await notesOn('access: {audit: false}'), []);
    assert.deepEqual(await notesOn('access: {}'), []);
  });
});
