import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectSocket, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { basic, bearer, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { rawRequest } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Rules, logins and tokens over real sockets: what one client may see, another does not get.

const image = buildImage({ seed: 'access' });
const layer = platformOf(image, 'amd64').layers[1] as Content;

const connectTo = ({ host }: Mirror): Socket => {
  const { hostname, port } = new URL(`http://${host}`);
  return connectSocket(Number(port), hostname);
};

let dir: string;
let htpasswd: string;
let upstream: ScriptedUpstream;
let mirror: Mirror;
let config: Record<string, unknown>;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'entrepot-access-'));
  htpasswd = join(dir, 'htpasswd');
  await writeFile(htpasswd, htpasswdOf('alice', 'bob', 'prometheus'));
  upstream = await startScriptedUpstream();
  for (const name of ['public/app', 'private/app', 'private/other']) upstream.add(image, name, ['latest']);
  config = {
    default_registry: 'plain',
    registries: { plain: { upstreams: [upstream.url] } },
    mirrors: [{ name: 'site', prefix: '/site', upstream: upstream.url }],
    access: {
      htpasswd,
      groups: { team: ['alice'] },
      rules: [
        { who: 'anonymous', may: ['pull', 'catalog'], on: ['plain/public/**'] },
        { who: '@team', may: ['pull', 'catalog'], on: ['plain/private/*', 'mirror:site/**'] },
        { who: 'prometheus', may: ['status'] },
      ],
    },
  };
  mirror = await startMirror(config);
});
after(async () => {
  await mirror.stop();
  await upstream.stop();
  await rm(dir, { recursive: true, force: true });
});

const get = (path: string, headers: Record<string, string> = {}) => mirror.get(path, headers);
const manifest = (repository: string, reference = 'latest'): string => `/v2/${repository}/manifests/${reference}`;
const blob = (repository: string): string => `/v2/${repository}/blobs/${layer.digest}`;

async function tokenOf(headers: Record<string, string> = {}, query = ''): Promise<string> {
  const { status, body } = await get(`/token${query}`, headers);
  assert.equal(status, 200, body.toString());
  return (JSON.parse(body.toString()) as { token: string }).token;
}

describe('/v2/', () => {
  test('challenges a client without a credential, at the address that it uses', async () => {
    const { status, headers } = await get('/v2/');
    assert.equal(status, 401);
    const host = new URL(mirror.url).host;
    assert.equal(headers['www-authenticate'], `Bearer realm="http://${host}/token",service="${host}"`);
  });

  test('a foreign Host is not repeated as a realm', async () => {
    for (const host of ['evil.example.com', '127.evil.example.com', 'localhost.evil.example.com']) {
      const { status, headers } = await get('/v2/', { host });
      assert.equal(status, 401);
      assert.match(String(headers['www-authenticate']), /^Basic realm="entrepot"/);
    }
  });

  for (const [title, headers] of [
    ['a password', () => basic('alice')],
    ['a token', async () => bearer(await tokenOf(basic('alice')))],
    ['an anonymous token', async () => bearer(await tokenOf())],
  ] as const) {
    test(`is 200 with ${title}`, async () => assert.equal((await get('/v2/', await headers())).status, 200));
  }

  test('a wrong password and an unknown user are refused alike', async () => {
    const wrong = await get('/v2/', basic('bob', 'no'));
    const unknown = await get('/v2/', basic('stranger', 'no'));
    assert.deepEqual([wrong.status, unknown.status], [401, 401]);
    assert.equal(wrong.body.toString(), unknown.body.toString());
  });
});

describe('what was cached for one client', () => {
  const paths = (repository: string): readonly string[] => [
    manifest(repository),
    manifest(repository, image.index.digest),
    blob(repository),
    `/v2/${repository}/tags/list`,
    `/v2/${repository}/referrers/${image.index.digest}`,
  ];
  before(async () => {
    for (const path of paths('private/app')) assert.equal((await get(path, basic('alice'))).status, 200, path);
  });

  for (const path of paths('private/app')) {
    for (const [title, more] of [
      ['GET', {}],
      ['a Range', { range: 'bytes=0-0' }],
      ['a condition', { 'if-none-match': `"${image.index.digest}", "${layer.digest}"` }],
    ] as const) {
      test(`${title} of ${path} is refused to others`, async () => {
        const anonymous = await get(path, more);
        assert.equal(anonymous.status, 401);
        assert.match(String(anonymous.headers['www-authenticate']), /scope="repository:private\/app:pull"/);
        assert.equal((await get(path, { ...more, ...bearer(await tokenOf()) })).status, 401);
        assert.equal((await get(path, { ...more, ...basic('bob') })).status, 403);
      });
    }
    test(`HEAD of ${path} is refused to others`, async () => {
      assert.equal((await mirror.head(path)).status, 401);
      assert.equal((await mirror.head(path, basic('bob'))).status, 403);
    });
  }

  test('absent and refused look alike', async () => {
    const refused = await get(manifest('private/app'), basic('bob'));
    const absent = await get(manifest('private/abs'), basic('bob'));
    assert.equal(absent.status, refused.status);
    assert.equal(absent.body.toString().replace('private/abs', 'private/app'), refused.body.toString());
  });

  test('a blob is reached only through a repository that has it and that one may pull', async () => {
    upstream.add(buildImage({ seed: 'another' }), 'public/empty', ['latest']);
    assert.equal((await get(blob('public/empty'))).status, 404);
    assert.equal((await get(blob('public/app'))).status, 200);
  });

  test('other spellings of the name lead to the same rule', async () => {
    for (const path of [
      '/v2/plain/private/app/manifests/latest',
      '/plain/v2/private/app/manifests/latest',
      `${manifest('private/app')}?ns=plain`,
      '/v2/private%2Fapp/manifests/latest',
    ]) {
      assert.equal((await get(path)).status, 401, path);
      assert.equal((await get(path, basic('alice'))).status, 200, path);
    }
  });
});

describe('lists and pages', () => {
  test('the canary of doctor is for every login and every token, whatever the rules say, and for no other client', async () => {
    const path = `/v2/library/entrepot-canary/manifests/doctor-${'0'.repeat(32)}`;
    const { status, headers } = await get(path);
    assert.equal(status, 401);
    assert.match(String(headers['www-authenticate']), /^Bearer /);
    assert.equal((await get(path, basic('bob', 'no'))).status, 401);
    assert.equal((await get(path, basic('bob'))).status, 200);
    // As Docker asks that is logged in at Docker Hub.
    const scope = '?scope=repository:library/entrepot-canary:pull';
    const token = await tokenOf(basic('hub', 'secret'), scope);
    assert.equal((await get(path, bearer(token))).status, 200);
    // Nothing else of the repository is open.
    assert.equal((await get(manifest('library/entrepot-canary'), bearer(token))).status, 401);
  });

  test('the catalogue shows what each client may list', async () => {
    const names = async (headers = {}): Promise<readonly string[]> =>
      (JSON.parse((await get('/v2/_catalog', headers)).body.toString()) as { repositories: string[] }).repositories;
    assert.deepEqual(
      (await names()).filter((name) => !name.startsWith('public/')),
      [],
    );
    assert.ok((await names(basic('alice'))).includes('private/app'));
    assert.ok((await names(basic('bob'))).every((name) => name.startsWith('public/')));
  });

  test('no link of the catalogue names a hidden repository', async () => {
    for (let n = 1; n < 5; n += 1) {
      const { headers, body } = await get(`/v2/_catalog?n=${n}`);
      assert.doesNotMatch(`${headers['link'] ?? ''}${body.toString()}`, /private/);
    }
  });

  test('/metrics is for those who may see the status; /healthz and /help are open', async () => {
    const { status, headers } = await get('/metrics');
    assert.deepEqual([status, headers['www-authenticate']], [401, 'Basic realm="entrepot", charset="UTF-8"']);
    assert.equal((await get('/metrics', basic('alice'))).status, 403);
    assert.equal((await get('/metrics', basic('prometheus'))).status, 200);
    assert.equal((await get('/healthz')).status, 200);
    assert.equal((await get('/help')).status, 200);
  });

  test('a mirror route asks for a password, and passes it to no site', async () => {
    assert.equal((await get('/site/v2/')).status, 401);
    assert.equal((await get('/site/v2/', basic('bob'))).status, 403);
    const seen = upstream.requests.length;
    assert.equal((await get('/site/v2/', basic('alice'))).status, 200);
    for (const { headers } of upstream.requests.slice(seen)) assert.equal(headers['authorization'], undefined);
  });
});

describe('the token service', () => {
  const post = (form: Record<string, string>, path = '/token') => {
    const body = new URLSearchParams(form).toString();
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(Buffer.byteLength(body)),
    };
    return rawRequest(mirror.host, { path, method: 'POST', headers, body });
  };

  test('takes a form as containerd sends it', async () => {
    const { status, body } = await post({
      grant_type: 'password',
      username: 'alice',
      password: 'alice-pw',
      scope: 'repository:private/app:pull repository:public/app:pull',
      service: 'x',
    });
    assert.equal(status, 200);
    const { access_token: token } = JSON.parse(body.toString()) as { access_token: string };
    assert.equal((await get(manifest('private/app'), bearer(token))).status, 200);
  });

  test('a POST without grant_type is anonymous; one with a foreign refresh token is refused', async () => {
    assert.equal((await post({ scope: 'repository:public/app:pull' }, '/auth/token')).status, 200);
    assert.equal((await post({ grant_type: 'refresh_token', refresh_token: 'x' })).status, 401);
  });

  test('a form without end is refused', async () => {
    assert.equal((await post({ username: 'x'.repeat(20_000) })).status, 413);
  });

  test('credentials of another service get an anonymous token for what is open, and no login', async () => {
    const hub = basic('hub', 'secret');
    // With each pull, and so more often than a password may be guessed.
    for (let pull = 0; pull < 30; pull += 1)
      assert.equal((await get('/token?scope=repository:public/app:pull', hub)).status, 200);
    for (const query of [
      '',
      '?scope=repository:private/app:pull',
      '?scope=repository:public/app:pull&scope=repository:private/app:pull',
      '?scope=repository:public/app:pull,push',
    ]) {
      assert.equal((await get(`/token${query}`, hub)).status, 401, query);
    }
  });

  test('forged and widened tokens are refused', async () => {
    const real = await tokenOf(basic('bob'));
    const [header = '', payload = '', signature = ''] = real.split('.');
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const asAlice = encode({ ...claims, sub: 'alice' });
    const other = generateKeyPairSync('ed25519');
    const jwk = other.publicKey.export({ format: 'jwk' });
    const signedBy = (head: string): string =>
      `${head}.${asAlice}.${sign(null, Buffer.from(`${head}.${asAlice}`), other.privateKey).toString('base64url')}`;
    const hs256 = encode({ alg: 'HS256', typ: 'JWT' });
    const forged = {
      none: `${encode({ alg: 'none' })}.${asAlice}.`,
      widened: `${header}.${asAlice}.${signature}`,
      'embedded key': signedBy(encode({ alg: 'EdDSA', typ: 'JWT', jwk })),
      'another key': signedBy(header),
      HS256: `${hs256}.${asAlice}.${createHmac('sha256', header).update(`${hs256}.${asAlice}`).digest('base64url')}`,
      huge: `${header}.${'A'.repeat(4096)}.${signature}`,
      padded: `${real}=`,
      text: 'anonymous',
    };
    for (const [name, token] of Object.entries(forged)) {
      assert.equal((await get('/v2/', bearer(token))).status, 401, name);
      assert.equal((await get(manifest('public/app'), bearer(token))).status, 401, name);
    }
  });

  test('a token for another host or of another server is refused', async () => {
    const token = await tokenOf(basic('alice'));
    const { port } = new URL(mirror.url);
    assert.equal((await get('/v2/', { ...bearer(token), host: `localhost:${port}` })).status, 401);
    const second = await startMirror(config);
    try {
      assert.equal((await second.get('/v2/', { ...bearer(token), host: mirror.host })).status, 401);
    } finally {
      await second.stop();
    }
  });
});

describe('a user', () => {
  test('who is removed is refused, with password and token', async () => {
    await writeFile(htpasswd, htpasswdOf('alice', 'bob', 'prometheus', 'carol'));
    while ((await get('/v2/', basic('carol'))).status !== 200) await new Promise((done) => setTimeout(done, 100));
    const token = await tokenOf(basic('carol'));
    await writeFile(htpasswd, htpasswdOf('alice', 'bob', 'prometheus'));
    while ((await get('/v2/', bearer(token))).status === 200) await new Promise((done) => setTimeout(done, 100));
    assert.equal((await get('/v2/', basic('carol'))).status, 401);
  });

  test('is slowed down after some wrong passwords, and one who is known is not', async () => {
    assert.equal((await get('/v2/', basic('prometheus'))).status, 200);
    const guesses: number[] = [];
    for (let guess = 0; guess < 8; guess += 1) {
      const { status } = await get('/v2/', basic('prometheus', `guess-${guess}`));
      guesses.push(status);
    }
    assert.ok(guesses.includes(429), String(guesses));
    assert.equal((await get('/v2/', basic('prometheus'))).status, 200);
  });
});

describe('the forward proxy', () => {
  let proxy: Mirror;
  let registry: string;
  before(async () => {
    registry = upstream.host;
    proxy = await startMirror({
      registries: { 'ghcr.io': { upstreams: [upstream.url] } },
      forward_proxy: {
        enabled: true,
        allowed_hosts: ['127.0.0.1', 'ghcr.io'],
        ports: [80, Number(new URL(upstream.url).port)],
        allow_private: ['127.0.0.1'],
        user: 'robot',
        password: 'robot-pw',
        anonymous: true,
      },
      access: {
        htpasswd,
        rules: [
          { who: ['robot', 'alice'], may: ['proxy'] },
          { who: 'alice', may: ['pull'], on: ['ghcr.io/private/**'] },
        ],
      },
    });
  });
  after(() => proxy.stop());

  const through = (path: string, credential?: Record<string, string>, more: Record<string, string> = {}) =>
    rawRequest(proxy.host, {
      path: `http://ghcr.io${path}`,
      headers: {
        host: 'ghcr.io',
        ...more,
        ...(credential && { 'proxy-authorization': credential['authorization'] ?? '' }),
      },
    });

  test('serves no client without a credential, from this machine neither', async () => {
    assert.equal((await through(manifest('private/app'))).status, 407);
    assert.equal((await through(manifest('private/app'), basic('alice', 'no'))).status, 407);
    assert.equal((await through(manifest('private/app'), basic('bob'))).status, 403);
  });

  test('asks the gate for the principal of the proxy, whatever the request itself shows', async () => {
    assert.equal((await through(manifest('private/app'), basic('alice'))).status, 200);
    const refused = await through(manifest('private/app'), basic('robot'));
    assert.deepEqual([refused.status, refused.headers['www-authenticate']], [403, undefined]);
    assert.equal((await through(manifest('private/app'), basic('robot'), basic('alice'))).status, 403);
    assert.equal((await through(manifest('public/app'), basic('alice'))).status, 403);
  });

  test('opens a tunnel for those who may use it', async () => {
    const connect = async (credential?: Record<string, string>): Promise<number> => {
      const headers = credential && { 'proxy-authorization': credential['authorization'] ?? '' };
      const socket = connectTo(proxy);
      socket.write(`CONNECT ${registry} HTTP/1.1\r\nHost: ${registry}\r\n`);
      for (const [name, value] of Object.entries(headers ?? {})) socket.write(`${name}: ${value}\r\n`);
      socket.write('\r\n');
      const [head] = (await once(socket, 'data')) as [Buffer];
      socket.destroy();
      return Number(head.toString().split(' ')[1]);
    };
    assert.deepEqual([await connect(), await connect(basic('bob')), await connect(basic('robot'))], [407, 403, 200]);
  });

  test('its user is a user like others: the registry knows it, and it is in no rule for pulls', async () => {
    assert.equal((await proxy.get('/v2/', basic('robot'))).status, 200);
    assert.equal((await proxy.get('/v2/ghcr.io/private/app/manifests/latest', basic('robot'))).status, 403);
  });
});

describe('a configuration', () => {
  const problemsOf = async (access: unknown): Promise<string> => {
    const { outcome, problems } = await mirror.reload({ ...config, access });
    assert.equal(outcome, 'refused');
    return problems.join('\n');
  };
  after(() => mirror.reload(config));

  for (const [title, access, expected] of [
    [
      'a registry that is not there',
      { rules: [{ who: 'a', may: ['pull'], on: ['library/nginx'] }] },
      /access\.rules\[0\]\.on\[0\].*library is no registry/,
    ],
    [
      'a route that is not there',
      { rules: [{ who: 'a', may: ['pull'], on: ['mirror:gone/**'] }] },
      /no mirror route called gone/,
    ],
    ['a tag', { rules: [{ who: 'a', may: ['pull'], on: ['plain/app:1'] }] }, /whole repositories/],
    ['an unknown group', { rules: [{ who: '@absent', may: ['status'] }] }, /access\.rules\[0\]\.who: found @absent/],
    [
      'an action that is none',
      { rules: [{ who: 'a', may: ['connect'] }] },
      /expected pull or catalog or push or delete or status or admin or proxy/,
    ],
    [
      'the administration by every client',
      { rules: [{ who: 'anonymous', may: ['admin'] }] },
      /access\.rules\[0\]\.may\[0\]: found admin for anonymous/,
    ],
    ['a kind of later', { rules: [{ who: 'workload:ci', may: ['pull'], on: ['**'] }] }, /reserved/],
    ['a pull of nothing', { rules: [{ who: 'a', may: ['pull'] }] }, /access\.rules\[0\]\.on: found no patterns/],
    ['no file of users', { htpasswd: '/nowhere/htpasswd' }, /htpasswd/],
    ['no value, which would be open', null, /access: found no value/],
  ] as const) {
    test(`with ${title} is refused, with the place`, async () => assert.match(await problemsOf(access), expected));
  }

  test('with an htpasswd file of another hash is refused by line', async () => {
    const weak = join(dir, 'weak');
    await writeFile(weak, `${htpasswdOf('alice')}bob:$apr1$x$y\n`);
    assert.match(await problemsOf({ htpasswd: weak }), /weak:2: the password is hashed by MD5/);
  });

  test('with rules for no user is warned of', async () => {
    await mirror.reload({
      ...config,
      access: {
        htpasswd,
        groups: { unused: ['alice'] },
        rules: [
          { who: 'anonymous', may: ['pull'], on: ['plain/**'], private: true },
          { who: 'ghost', may: ['pull'], on: ['plain/private/**'] },
        ],
      },
    });
    const notes = mirror.log
      .filter(({ level }) => level === 'warn')
      .map(({ msg }) => msg)
      .join('\n');
    for (const expected of [
      /ghost cannot log in/,
      /no rule is for @unused/,
      /no rule names bob/,
      /rule 1 allows plain\/private\/\*\* already/,
    ]) {
      assert.match(notes, expected);
    }
  });
});
