import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { basic, bearer, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type RawRequest, type RawResponse, rawRequest, sendBytes } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// From the outside, with what is published about other registries: each hole is tried here afresh.

const image = buildImage({ seed: 'access-attacks' });
const layer = platformOf(image, 'amd64').layers[1] as Content;
const SUFFIX = 'm.example.org';
const PUBLIC_URL = 'https://mirror.example.com';

let dir: string;
let htpasswd: string;
let upstream: ScriptedUpstream;
let mirror: Mirror;
let config: Record<string, unknown>;

const get = (path: string, headers: RawRequest['headers'] = {}): Promise<RawResponse> => mirror.get(path, headers);
const manifest = (repository: string, reference = 'latest'): string => `/v2/${repository}/manifests/${reference}`;
const wholeOf = ({ headers, body }: RawResponse): string => `${JSON.stringify(headers)}${body.toString('latin1')}`;

async function tokenOf(headers: RawRequest['headers'] = {}, query = ''): Promise<string> {
  const { status, body } = await get(`/token${query}`, headers);
  assert.equal(status, 200, body.toString());
  return (JSON.parse(body.toString()) as { token: string }).token;
}

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'entrepot-attacks-'));
  htpasswd = join(dir, 'htpasswd');
  await writeFile(htpasswd, htpasswdOf('alice', 'bob', 'prometheus'));
  upstream = await startScriptedUpstream();
  for (const name of ['public/app', 'private/app', 'private/other', 'secret']) upstream.add(image, name, ['latest']);
  config = {
    default_registry: 'plain',
    public_url: [PUBLIC_URL, 'http://mirror.internal:5000'],
    domain_suffix: SUFFIX,
    registries: {
      plain: { aliases: ['p'], upstreams: [upstream.url] },
      away: { upstreams: [upstream.url], delivery: 'redirect' },
    },
    mirrors: [{ name: 'site', prefix: '/site', upstream: upstream.url }],
    access: {
      htpasswd,
      groups: { team: ['alice'] },
      rules: [
        { who: 'anonymous', may: ['pull', 'catalog'], on: ['plain/public/**', 'mirror:site/v2/public/**'] },
        { who: '@team', may: ['pull', 'catalog'], on: ['plain/private/**', 'away/private/**', 'mirror:site/**'] },
        { who: 'prometheus', may: ['status'] },
      ],
    },
  };
  mirror = await startMirror(config);
  // All of it is cached for one user before the others ask.
  for (const path of [manifest('private/app'), manifest('private/app', image.index.digest), manifest('public/app')])
    assert.equal((await get(path, basic('alice'))).status, 200, path);
  assert.equal((await get(`/v2/private/app/blobs/${layer.digest}`, basic('alice'))).status, 200);
});
after(async () => {
  await mirror.stop();
  await upstream.stop();
  await rm(dir, { recursive: true, force: true });
});

/** Nothing of the image, of names that only alice may know, or of an upstream. */
function assertTellsNothing(answer: RawResponse, what: string): void {
  const text = wholeOf(answer);
  for (const secret of [...image.blobs, ...image.manifests].map(({ digest }) => digest))
    assert.ok(!text.includes(secret), `${what} tells ${secret}`);
  assert.ok(!text.includes('private/other'), what);
  assert.ok(!text.includes(upstream.host), what);
}

describe('a token', () => {
  const encode = (value: object | string): string =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
  const decode = (part: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
  const pair = generateKeyPairSync('ed25519');
  const jwk = pair.publicKey.export({ format: 'jwk' });
  /** A token of this header and these claims, with a good signature of a key that is not the server's. */
  const signed = (header: string, payload: string): string =>
    `${header}.${payload}.${sign(null, Buffer.from(`${header}.${payload}`), pair.privateKey).toString('base64url')}`;
  const hmac = (header: string, payload: string, key: string | Buffer): string =>
    `${header}.${payload}.${createHmac('sha256', key).update(`${header}.${payload}`).digest('base64url')}`;

  async function refused(token: string, what: string): Promise<void> {
    for (const path of ['/v2/', manifest('private/app'), manifest('public/app'), '/v2/_catalog']) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await rawRequest(mirror.host, { method, path, headers: bearer(token) });
        assert.equal(answer.status, 401, `${method} ${path} with ${what}`);
        assert.match(String(answer.headers['www-authenticate']), /error="invalid_token"/, what);
        assertTellsNothing(answer, what);
        if (method === 'HEAD') continue;
        const { errors } = JSON.parse(answer.body.toString()) as { errors: { code: string }[] };
        assert.equal(errors[0]?.code, 'UNAUTHORIZED', what);
      }
    }
    for (const path of ['/site/v2/', '/metrics', '/token'])
      assert.equal((await get(path, bearer(token))).status, 401, `${path} with ${what}`);
  }

  test('that is forged is refused, with the protocol’s own error', async () => {
    const real = await tokenOf(basic('bob'));
    const [header = '', payload = '', signature = ''] = real.split('.');
    const claims = decode(payload);
    const asAlice = encode({ ...claims, sub: 'alice' });
    const algorithm = (alg: unknown, more: object = {}): string => encode({ ...decode(header), alg, ...more });
    const withoutKid = encode({ alg: 'EdDSA', typ: 'JWT' });
    const forged: Record<string, string> = {
      'another user': `${header}.${asAlice}.${signature}`,
      'another key': signed(header, asAlice),
      'an embedded key': signed(algorithm('EdDSA', { jwk }), asAlice),
      'an embedded key without a kid': signed(encode({ alg: 'EdDSA', typ: 'JWT', jwk }), asAlice),
      'the address of a key': signed(algorithm('EdDSA', { jku: `${upstream.url}/keys`, x5u: upstream.url }), asAlice),
      'a chain of certificates': signed(algorithm('EdDSA', { x5c: ['MIIB'] }), asAlice),
      'another kid': signed(algorithm('EdDSA', { kid: 'other' }), asAlice),
      'a kid that is a path': signed(algorithm('EdDSA', { kid: '../../../../dev/null' }), asAlice),
      'no kid': signed(withoutKid, asAlice),
      'a critical header': signed(algorithm('EdDSA', { crit: ['b64'], b64: false }), asAlice),
      'its header in another order': `${encode({ kid: decode(header)['kid'], typ: 'JWT', alg: 'EdDSA' })}.${payload}.${signature}`,
      'a header with a blank': `${encode(` ${JSON.stringify(decode(header))}`)}.${payload}.${signature}`,
      'a key of the header’s own text': hmac(algorithm('HS256'), asAlice, header),
      'an empty key': hmac(algorithm('HS256'), asAlice, ''),
      'a public key as the secret': hmac(
        algorithm('HS256'),
        asAlice,
        pair.publicKey.export({ format: 'pem', type: 'spki' }),
      ),
      'HS256 under the real header': hmac(header, asAlice, header),
      'rights of its own': signed(
        header,
        encode({ ...claims, access: [{ type: 'repository', name: 'private/app', actions: ['*'] }] }),
      ),
      'another kind': signed(header, encode({ ...claims, kind: 'admin', sub: 'alice' })),
      'a later end': signed(header, encode({ ...claims, exp: 2 ** 40 })),
      'no end': `${header}.${encode({ ...claims, exp: undefined })}.${signature}`,
      'every audience': signed(header, encode({ ...claims, aud: ['*', mirror.host] })),
      'no signature': `${header}.${payload}.`,
      'two parts': `${header}.${payload}`,
      'four parts': `${real}.${signature}`,
      'five parts': `${real}..`,
      'empty parts': '..',
      'a dot': '.',
      'no JSON': signed(header, encode('alice')),
      'a prototype': signed(header, encode('{"__proto__":{"kind":"user","sub":"alice"}}')),
      'half of its signature': `${header}.${payload}.${signature.slice(0, 43)}`,
      zeros: `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
      'a long payload': `${header}.${'A'.repeat(4096)}.${signature}`,
    };
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '', null, ['none'], 'ES256', 'RS256', 'PS256', 'Ed25519']) {
      const name = JSON.stringify(alg);
      forged[`algorithm ${name}, unsigned`] = `${algorithm(alg)}.${asAlice}.`;
      forged[`algorithm ${name}, signed`] = signed(algorithm(alg), asAlice);
      forged[`algorithm ${name}, with the real signature`] = `${algorithm(alg)}.${payload}.${signature}`;
    }
    for (const [what, token] of Object.entries(forged)) await refused(token, what);
  });

  test('has one spelling', async () => {
    const real = await tokenOf(basic('bob'));
    const [header = '', payload = '', signature = ''] = real.split('.');
    const bytes = Buffer.from(signature, 'base64url');
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    // Four bits of the last character mean nothing: sixteen spellings of the same bytes.
    const last = alphabet.indexOf(signature.at(-1) ?? '');
    const loose = alphabet[(last & ~15) | ((last + 1) & 15)] as string;
    assert.ok(Buffer.from(signature.slice(0, -1) + loose, 'base64url').equals(bytes));
    const others: Record<string, string> = {
      'a padded signature': `${real}==`,
      'other unused bits': `${header}.${payload}.${signature.slice(0, -1)}${loose}`,
      'plain base64': `${header}.${payload}.${bytes.toString('base64')}`,
      hexadecimal: `${header}.${payload}.${bytes.toString('hex')}`,
      'a padded header': `${header}=.${payload}.${signature}`,
      'a padded payload': `${header}.${payload}=.${signature}`,
      'a percent sign': `${header}.${payload}.${signature.slice(0, -1)}%41`,
      'a comma': `${real},${real}`,
      quotes: `"${real}"`,
      'upper case': real.toUpperCase(),
    };
    for (const [what, token] of Object.entries(others)) await refused(token, what);
    // RFC 8032 §5.1.7: an S of the group's order more verifies in careless code.
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const s = BigInt(`0x${Buffer.from(bytes.subarray(32).toReversed()).toString('hex')}`) + order;
    const malleable = Buffer.concat([
      bytes.subarray(0, 32),
      Buffer.from(s.toString(16).padStart(64, '0'), 'hex').toReversed(),
    ]);
    await refused(`${header}.${payload}.${malleable.toString('base64url')}`, 'a malleable signature');
    assert.equal((await get('/v2/', bearer(real))).status, 200, 'and the real one holds');
  });

  test('that is huge is refused before it is read', async () => {
    for (const size of [2049, 8000, 9000]) {
      assert.equal((await get('/v2/', bearer('A'.repeat(size)))).status, 401, String(size));
    }
    const answer = await get('/v2/', bearer('A'.repeat(1024 * 1024)));
    assert.equal(answer.status, 431);
    assert.match(answer.body.toString(), /"errors"/);
    assert.equal((await get('/healthz')).status, 200);
  });

  test('is taken from the header alone', async () => {
    const token = await tokenOf(basic('alice'));
    for (const [path, headers] of [
      [`${manifest('private/app')}?access_token=${token}`, {}],
      [`${manifest('private/app')}?token=${token}`, {}],
      [manifest('private/app'), { cookie: `token=${token}` }],
      [manifest('private/app'), { 'x-registry-auth': token }],
      [manifest('private/app'), { 'proxy-authorization': `Bearer ${token}` }],
      [manifest('private/app'), { 'proxy-authorization': basic('alice')['authorization'] ?? '' }],
      [manifest('private/app'), { 'x-forwarded-user': 'alice', 'x-remote-user': 'alice', 'remote-user': 'alice' }],
    ] as const) {
      const answer = await get(path, headers);
      assert.equal(answer.status, 401, JSON.stringify([path.slice(0, 60), headers]));
      assertTellsNothing(answer, path);
    }
  });

  test('of two headers, the first decides and the second adds nothing', async () => {
    const send = async (...values: readonly string[]): Promise<number> => {
      const headers = values.map((value) => `Authorization: ${value}\r\n`).join('');
      const head = `GET ${manifest('private/app')} HTTP/1.1\r\nHost: ${mirror.host}\r\n${headers}Connection: close\r\n\r\n`;
      return Number((await sendBytes(mirror.host, head)).toString('latin1').split(' ')[1]);
    };
    const alice = basic('alice')['authorization'] ?? '';
    const bob = basic('bob')['authorization'] ?? '';
    assert.notEqual(await send(bob, alice), 200);
    assert.notEqual(await send('Bearer x', alice), 200);
    assert.notEqual(await send('', alice), 200);
  });

  test('cannot be renewed by itself: a password is asked for', async () => {
    const token = await tokenOf(basic('alice'));
    assert.equal((await get('/token', bearer(token))).status, 401);
    assert.equal((await get('/token', basic('alice', token))).status, 401);
  });

  test('names a user and no rights, whatever was asked for', async () => {
    const scopes = [
      'repository:private/app:pull,push,delete,*',
      'repository:private/*:*',
      'registry:catalog:*',
      'repository:public/app:pull,push',
      '*:*:*',
    ];
    const query = `?${scopes.map((scope) => `scope=${encodeURIComponent(scope)}`).join('&')}`;
    for (const credential of [{}, basic('bob')]) {
      const token = await tokenOf(credential, query);
      assert.deepEqual(Object.keys(decode(token.split('.')[1] ?? '')).sort(), [
        'aud',
        'exp',
        'iat',
        'kind',
        'sub',
        'version',
      ]);
      for (const [method, path] of [
        ['GET', manifest('private/app')],
        ['PUT', manifest('public/app')],
        ['PUT', manifest('private/app')],
        ['DELETE', manifest('public/app')],
        ['DELETE', `/v2/public/app/blobs/${layer.digest}`],
        ['POST', '/v2/public/app/blobs/uploads/'],
        ['POST', `/v2/public/app/blobs/uploads/?mount=${layer.digest}&from=private/app`],
        ['PATCH', '/v2/public/app/blobs/uploads/1'],
      ] as const) {
        const answer = await rawRequest(mirror.host, { method, path, headers: bearer(token) });
        assert.ok([401, 403, 404, 405].includes(answer.status), `${method} ${path}: ${answer.status}`);
      }
    }
  });
});

describe('a Host', () => {
  const hosts = [
    'evil.example.com',
    'mirror.example.com.evil.example.com',
    'evil.example.com:443',
    `evil.example.com#.${SUFFIX}`,
    `evil${SUFFIX}`,
    `${SUFFIX}.evil.example.com`,
    'mirror.example.com@evil.example.com',
    'localhost.evil.example.com',
    '127.0.0.1.evil.example.com',
    'evil.example.com\\.localhost',
    '[::1].evil.example.com',
  ];
  test('that a client makes up is repeated nowhere', async () => {
    for (const host of hosts) {
      for (const path of [
        '/v2/',
        '/v2/?ns=plain',
        manifest('private/app'),
        '/help',
        '/',
        '/site/v2/',
        '/token',
        '/nothing',
      ]) {
        const answer = await get(path, { host });
        assert.doesNotMatch(wholeOf(answer), /evil/i, `${path} for ${host}`);
        const challenge = answer.headers['www-authenticate'];
        if (answer.status === 401 && path.startsWith('/v2/')) {
          assert.match(String(challenge), new RegExp(`^Bearer realm="${PUBLIC_URL}/token`), `${path} for ${host}`);
        }
      }
    }
  });

  test('of a forwarding header is not believed of a client', async () => {
    for (const name of ['x-forwarded-host', 'x-original-host', 'x-host', 'forwarded', 'x-forwarded-server']) {
      const value = name === 'forwarded' ? 'host=evil.example.com;proto=https' : 'evil.example.com';
      assert.doesNotMatch(wholeOf(await get('/v2/', { [name]: value })), /evil/i, name);
      assert.doesNotMatch(wholeOf(await get('/help', { [name]: value })), /evil/i, name);
    }
  });

  test('of an absolute target neither', async () => {
    const answer = await get('http://evil.example.com/v2/', { host: mirror.host });
    assert.doesNotMatch(wholeOf(answer), /evil/i);
  });

  test('that is ours gets tokens for itself alone', async () => {
    const credential = basic('alice');
    for (const [host, realm] of [
      ['mirror.internal:5000', 'http://mirror.internal:5000/token'],
      ['MIRROR.example.com', `${PUBLIC_URL}/token`],
      ['mirror.example.com:443', `${PUBLIC_URL}/token`],
      [`p.${SUFFIX}`, `http://p.${SUFFIX}/token`],
    ] as const) {
      const challenge = String((await get('/v2/', { host })).headers['www-authenticate']);
      assert.ok(challenge.startsWith(`Bearer realm="${realm}"`), challenge);
      const token = await tokenOf({ ...credential, host });
      assert.equal((await get('/v2/', { ...bearer(token), host })).status, 200, host);
      assert.equal((await get('/v2/', bearer(token))).status, 401, host);
    }
  });
});

describe('ways of naming a repository', () => {
  /** The answer to a private manifest, asked for by this target, with this Host. */
  const ways: readonly (readonly [target: string, host?: string])[] = [
    ['/v2/private/app/manifests/latest'],
    ['/v2/plain/private/app/manifests/latest'],
    ['/v2/p/private/app/manifests/latest'],
    ['/plain/v2/private/app/manifests/latest'],
    ['/p/v2/private/app/manifests/latest'],
    ['/PLAIN/v2/private/app/manifests/latest'],
    ['/v2/private/app/manifests/latest?ns=plain'],
    ['/v2/private/app/manifests/latest?ns=PLAIN'],
    ['/v2/private/app/manifests/latest?ns=p'],
    ['/v2/private/app/manifests/latest?ns=plain&ns=away'],
    ['/v2/private/app/manifests/latest?ns=away&ns=plain'],
    ['/v2/private/app/manifests/latest?ns='],
    ['/v2/private/app/manifests/latest?%6es=plain'],
    ['/v2/plain/private/app/manifests/latest?ns=plain'],
    ['/v2/private/app/manifests/latest', `plain.${SUFFIX}`],
    ['/v2/private/app/manifests/latest', `p.${SUFFIX}:5000`],
    ['/v2/private/app/manifests/latest', `P.${SUFFIX.toUpperCase()}`],
    ['/v2/plain/private/app/manifests/latest', `plain.${SUFFIX}`],
    ['/v2/private%2Fapp/manifests/latest'],
    ['/v2/private%2fapp/manifests/latest'],
    ['/v2/%70rivate/app/manifests/latest'],
    ['/v2/private%252Fapp/manifests/latest'],
    ['/v2/private/app%2Fmanifests/latest'],
    ['/v2%2Fprivate/app/manifests/latest'],
    ['/%76%32/private/app/manifests/latest'],
    [`/v2/private/app/manifests/${encodeURIComponent(image.index.digest)}`],
    [`/v2/private/app/manifests/${image.index.digest.toUpperCase()}`],
    ['/v2/PRIVATE/app/manifests/latest'],
    ['/V2/private/app/manifests/latest'],
    ['//v2/private/app/manifests/latest'],
    ['/v2//private/app/manifests/latest'],
    ['/v2/private//app/manifests/latest'],
    ['/v2/private/app/manifests/latest/'],
    ['/v2/private/app/manifests/latest/x.css'],
    ['/v2/private/app/manifests/latest%00'],
    ['/v2/private/app/manifests/latest%20'],
    ['/v2/private/app/manifests/latest;x'],
    ['/v2/private/app;x/manifests/latest'],
    ['/v2/./private/app/manifests/latest'],
    ['/v2/public/../private/app/manifests/latest'],
    ['/v2/public/app/../../private/app/manifests/latest'],
    ['/v2/public/%2e%2e/private/app/manifests/latest'],
    ['/v2/public/..%2fprivate/app/manifests/latest'],
    ['/v2/public/app/manifests/../../../private/app/manifests/latest'],
    ['/v2/public/app/manifests/..%2f..%2f..%2fprivate%2fapp%2fmanifests%2flatest'],
    ['/help/../v2/private/app/manifests/latest'],
    ['/healthz/..;/v2/private/app/manifests/latest'],
    ['/v2/private\\app/manifests/latest'],
    ['/v2/public\\..\\private/app/manifests/latest'],
    ['/v2/ｐrivate/app/manifests/latest'],
    ['/v2/private/app/tags/list/../../manifests/latest'],
    ['/away/v2/private/app/manifests/latest'],
    ['/v2/away/private/app/manifests/latest'],
    ['/v2/public/app/manifests/latest/../../private/app/manifests/latest'],
  ];

  test('give one verdict: no way leads past a rule', async () => {
    let reached = 0;
    const anonymous = bearer(await tokenOf());
    for (const [path, host] of ways) {
      const what = `${path} ${host ?? ''}`;
      const asked = (headers: Record<string, string>): Promise<RawResponse> =>
        get(path, host === undefined ? headers : { ...headers, host });
      const alice = await asked(basic('alice'));
      for (const [who, headers] of [
        ['a client without a login', {}],
        ['an anonymous token', host === undefined ? anonymous : {}],
        ['bob', basic('bob')],
      ] as const) {
        const answer = await asked(headers);
        assertTellsNothing(answer, `${what} to ${who}`);
        const expected = alice.status === 200 ? (who === 'bob' ? [403] : [401]) : [alice.status, 401, 403];
        assert.ok(expected.includes(answer.status), `${what} to ${who}: ${answer.status}, to alice ${alice.status}`);
      }
      if (alice.status === 200) reached += 1;
    }
    // Enough ways lead to it that the test says something.
    assert.ok(reached >= 15, `${reached} ways lead to it`);
  });

  test('the same holds for blobs, tags and referrers, by every method', async () => {
    const kinds = [
      `blobs/${layer.digest}`,
      `blobs/${layer.digest.replace(':', '%3A')}`,
      'tags/list',
      'tags/list?n=1&last=a',
      `referrers/${image.index.digest}`,
      `referrers/${image.index.digest}?artifactType=x`,
      `manifests/${image.index.digest}`,
      'manifests/nothing-there',
    ];
    for (const kind of kinds) {
      for (const prefix of [
        '/v2/private/app/',
        '/p/v2/private/app/',
        '/v2/plain/private/app/',
        '/v2/private/never-seen/',
        '/away/v2/private/app/',
      ]) {
        for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'QUERY']) {
          for (const range of [undefined, 'bytes=0-0', 'bytes=-1']) {
            if (range !== undefined && !['GET', 'HEAD'].includes(method)) continue;
            const headers = { ...basic('bob'), ...(range && { range }) };
            const answer = await rawRequest(mirror.host, { method, path: prefix + kind, headers });
            assert.ok(
              [400, 403, 404, 405, 501].includes(answer.status),
              `${method} ${prefix}${kind}: ${answer.status}`,
            );
            if (['GET', 'HEAD'].includes(method)) assert.equal(answer.status, 403, `${method} ${prefix}${kind}`);
            assert.equal(answer.headers['location'], undefined);
            // What the path has itself may be in the message.
            if (!kind.includes('sha256')) assertTellsNothing(answer, `${method} ${prefix}${kind}`);
          }
        }
      }
    }
  });

  test('a blob that one knows is not read by way of what one may read', async () => {
    upstream.add(buildImage({ seed: 'elsewhere' }), 'public/empty', ['latest']);
    for (const headers of [{}, basic('bob'), basic('alice')]) {
      const answer = await get(`/v2/public/empty/blobs/${layer.digest}`, headers);
      assert.equal(answer.status, 404);
    }
  });

  test('a redirect to the upstream is given behind the gate alone', async () => {
    const path = `/away/v2/private/app/blobs/${layer.digest}`;
    const alice = await get(path, basic('alice'));
    assert.ok([200, 307].includes(alice.status));
    for (const [headers, status] of [
      [{}, 401],
      [basic('bob'), 403],
    ] as const) {
      const answer = await get(path, headers);
      assert.deepEqual([answer.status, answer.headers['location']], [status, undefined]);
    }
  });
});

describe('a mirror route', () => {
  test('has one way of writing a path, as the rules see it', async () => {
    assert.equal((await get('/site/v2/public/app/tags/list')).status, 200);
    const before = upstream.requests.length;
    for (const path of [
      '/site/v2/secret/manifests/latest',
      '/site/v2/public/../secret/manifests/latest',
      '/site/v2/public/%2e%2e/secret/manifests/latest',
      '/site/v2/public/%2E%2E/secret/manifests/latest',
      '/site/v2/public/.%2e/secret/manifests/latest',
      '/site/v2/public/..%2fsecret/manifests/latest',
      '/site/v2/public/..%5csecret/manifests/latest',
      '/site/v2/public\\..\\secret/manifests/latest',
      '/site/v2/public/..;/secret/manifests/latest',
      '/site/v2/./secret/manifests/latest',
      '/site//v2/secret/manifests/latest',
      '/site/v2/%73ecret/manifests/latest',
      '/site/V2/public/../secret/manifests/latest',
      '/site/../site/v2/secret/manifests/latest',
      '/site%2Fv2/secret/manifests/latest',
      '/site/v2/secret/manifests/latest?x=/v2/public/',
      '/site/v2/secret/manifests/latest#/v2/public/',
      '/site',
      '/site/',
    ]) {
      for (const headers of [{}, basic('bob')]) {
        const answer = await get(path, headers);
        assert.ok(answer.status >= 400 && answer.status < 500, `${path}: ${answer.status}`);
        assertTellsNothing(answer, path);
      }
    }
    const asked = upstream.requests.slice(before).map(({ url }) => url);
    assert.deepEqual(
      asked.filter((url) => url.includes('secret')),
      [],
    );
  });
});

describe('lists', () => {
  test('show no name that one may not know, on any page, in any order', async () => {
    for (const [who, headers] of [
      ['anonymous', {}],
      ['an anonymous token', bearer(await tokenOf())],
      ['bob', basic('bob')],
    ] as const) {
      for (const query of [
        '',
        '?n=1',
        '?n=0',
        '?n=-1',
        '?n=1000000000',
        '?n=1&last=pri',
        '?n=1&last=private/app',
        '?last=private/aaa',
        '?last=private%2F',
        '?n=1&last=private/app&ns=plain',
        '?ns=away',
        '?ns=p',
      ]) {
        const answer = await get(`/v2/_catalog${query}`, headers);
        assert.ok(answer.status < 500, `${query} to ${who}`);
        // The cursor is the client's own.
        const text = wholeOf(answer).replaceAll(/last=private[^&">]*/g, '');
        assert.doesNotMatch(text, /private/, `${query} to ${who}`);
      }
    }
  });

  test('metrics tell names of repositories to no client', async () => {
    const { status, body } = await get('/metrics', basic('prometheus'));
    assert.equal(status, 200);
    assert.doesNotMatch(body.toString(), /private\/app/);
    for (const path of [
      '/metrics',
      '/metrics/',
      '/metrics/x.css',
      '/metrics%2f',
      '/METRICS',
      '//metrics',
      '/metrics;x',
      '/./metrics',
      '/metrics?x',
    ])
      assert.notEqual((await get(path, basic('alice'))).status, 200, path);
  });

  test('no page that is open names what is private', async () => {
    const pages = await Promise.all([get('/help'), get('/help', { accept: 'text/html' })]);
    for (const answer of pages) assertTellsNothing(answer, 'help');
    for (const path of ['/', '/help', '/healthz', '/readyz', '/nothing', '/api/v1/status', '/ui/'])
      assertTellsNothing(await get(path), path);
  });
});

describe('requests without end or sense', () => {
  test('of a login are refused, and nothing passes for being too long', async () => {
    const post = (body: string, headers: Record<string, string> = {}) =>
      rawRequest(mirror.host, {
        method: 'POST',
        path: '/token',
        headers: {
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': String(body.length),
          ...headers,
        },
        body,
      });
    assert.equal((await post(`username=alice&password=${'x'.repeat(20_000)}`)).status, 413);
    assert.equal((await post(`${'a=b&'.repeat(10_000)}username=alice&password=no`)).status, 413);
    const chunk = 'x'.repeat(0x1000);
    const chunked = await sendBytes(
      mirror.host,
      `POST /token HTTP/1.1\r\nHost: ${mirror.host}\r\nTransfer-Encoding: chunked\r\n\r\n${`1000\r\n${chunk}\r\n`.repeat(8)}`,
    );
    assert.match(chunked.toString('latin1'), /^HTTP\/1\.1 413 /);
    const both = await sendBytes(
      mirror.host,
      `POST /token HTTP/1.1\r\nHost: ${mirror.host}\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\nConnection: close\r\n\r\n0\r\n\r\n`,
    );
    assert.match(both.toString('latin1'), /^HTTP\/1\.1 400 /);
    for (const scopes of [101, 500]) {
      const query = Array.from({ length: scopes }, () => 'scope=repository:public/app:pull')
        .join('&')
        .slice(0, 12_000);
      assert.equal((await get(`/token?${query}`, basic('hub', 'x'))).status, 401, String(scopes));
    }
  });

  test('of a credential are refused', async () => {
    for (const authorization of [
      'Basic',
      'Basic ',
      'Basic !!!',
      'Basic YWxpY2U=',
      `Basic ${Buffer.from('alice').toString('base64')}`,
      `Basic ${Buffer.from(':alice-pw').toString('base64')}`,
      `Basic ${Buffer.from('alice:').toString('base64')}`,
      `Basic ${Buffer.from('alice\0:alice-pw').toString('base64')}`,
      `Basic ${Buffer.from('ALICE:alice-pw').toString('base64')}`,
      `Basic ${Buffer.from('@team:alice-pw').toString('base64')}`,
      `Basic ${Buffer.from('anonymous:').toString('base64')}`,
      `Basic ${Buffer.from('__proto__:x').toString('base64')}`,
      `Basic ${Buffer.from('constructor:x').toString('base64')}`,
      `Basic ${Buffer.from(`alice:${'x'.repeat(7000)}`).toString('base64')}`,
      `Digest username="alice"`,
      'Negotiate abc',
      'alice:alice-pw',
      'null',
      'undefined',
    ]) {
      const answer = await get(manifest('private/app'), { authorization });
      assert.ok([401, 429].includes(answer.status), `${authorization}: ${answer.status}`);
      assert.ok(authorization.length < 9 || !wholeOf(answer).includes(authorization), 'it repeats the header');
    }
  });
});

describe('a user', () => {
  test('who leaves a group is refused at the next request, with the token from before', async () => {
    const token = await tokenOf(basic('alice'));
    assert.equal((await get(manifest('private/app'), bearer(token))).status, 200);
    const access = config['access'] as { rules: object[] };
    await mirror.reload({ ...config, access: { ...access, groups: { team: ['prometheus'] } } });
    assert.equal((await get(manifest('private/app'), bearer(token))).status, 403);
    await mirror.reload(config);
    assert.equal((await get(manifest('private/app'), bearer(token))).status, 200);
  });

  test('who asks at the same moment as another gets an answer of their own', async () => {
    upstream.add(buildImage({ seed: 'at once' }), 'private/cold', ['latest']);
    const asked = Array.from({ length: 40 }, (_, at) =>
      get(manifest('private/cold'), at % 2 === 0 ? basic('alice') : basic('bob')).then(({ status }) => status),
    );
    const statuses = await Promise.all(asked);
    assert.deepEqual([...new Set(statuses.filter((_, at) => at % 2 === 0))], [200]);
    assert.deepEqual([...new Set(statuses.filter((_, at) => at % 2 === 1))], [403]);
  });

  test('no answer to a login may be kept by a cache in front', async () => {
    for (const [path, headers] of [
      [manifest('private/app'), basic('alice')],
      [`/v2/private/app/blobs/${layer.digest}`, basic('alice')],
      ['/token', basic('alice')],
      [manifest('private/app'), {}],
    ] as const) {
      // RFC 9111 §3.5: what answers an Authorization may be stored where one of these says so.
      assert.doesNotMatch(
        String((await get(path, headers)).headers['cache-control']),
        /public|s-maxage|must-revalidate/,
        path,
      );
    }
  });
});

describe('guesses', () => {
  test('from one address are slowed down whatever addresses they claim', async () => {
    await using own = await startMirror(config);
    const statuses: number[] = [];
    for (let guess = 0; guess < 25; guess += 1) {
      const claimed = {
        'x-forwarded-for': `192.0.2.${guess}`,
        forwarded: `for=192.0.2.${guess}`,
        'x-real-ip': `192.0.2.${guess}`,
      };
      statuses.push((await own.get('/v2/', { ...basic(`user-${guess}`, 'no'), ...claimed })).status);
    }
    assert.deepEqual([statuses[0], statuses.at(-1)], [401, 429]);
  });
});
