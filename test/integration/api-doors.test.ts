import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { OPERATIONS } from '../../src/admin/index.ts';
import { ask, operate, operatorSession, problemIn } from '../support/api-stage.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { rawRequest, sendBytes } from '../support/raw-request.ts';

// Who reaches the API of a server without rules, and how it is addressed, over real sockets.

const READ = '/api/v1/webhooks';
const CHANGE = '/api/v1/reload';

let mirror: Mirror;
before(async () => {
  mirror = await startMirror({
    public_url: ['https://mirror.example.com', 'http://plain.example.com:8080'],
    domain_suffix: 'suffix.example.com',
  });
});
after(() => mirror.stop());

const reloads = (): number => mirror.log.filter(({ msg }) => msg === 'config.reloaded').length;

describe('without access rules', () => {
  test('this machine reads', async () => {
    const answer = await ask(mirror, 'GET', READ);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.value, { webhooks: [] });
  });

  test('and changes nothing without a session', async () => {
    const before = reloads();
    const { detail } = problemIn(await ask(mirror, 'POST', CHANGE, { body: {} }), 403);
    assert.match(detail, /entrepot console/);
    assert.equal(reloads(), before);
  });

  const forwarding: Readonly<Record<string, string>> = {
    forwarded: 'for=192.0.2.1',
    'x-forwarded-for': '192.0.2.1',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'localhost',
    'x-forwarded-anything': 'x',
    'x-real-ip': '192.0.2.1',
    via: '1.1 proxy',
    'cf-connecting-ip': '192.0.2.1',
    'true-client-ip': '192.0.2.1',
  };
  for (const [name, value] of Object.entries(forwarding)) {
    test(`a request with ${name} came through another server, and is refused with what to write`, async () => {
      for (const path of [READ, '/api/v1/overview', '/api/v1/events', '/api/openapi.json']) {
        const { detail } = problemIn(await ask(mirror, 'GET', path, { headers: { [name]: value } }), 403);
        assert.match(detail, /access:.*entrepot console/);
      }
      const { value: told } = await ask(mirror, 'GET', '/api/v1/session', { headers: { [name]: value } });
      const { mode, canRead, canChange, remedy } = told as Record<string, unknown>;
      assert.deepEqual({ mode, canRead, canChange }, { mode: 'closed', canRead: false, canChange: false });
      assert.match(String(remedy), /access:.*entrepot console/);
    });
  }

  test('a host that other machines use is refused, though the peer is this machine', async () => {
    problemIn(await ask(mirror, 'GET', READ, { headers: { host: 'mirror.example.com' } }), 403);
    problemIn(await ask(mirror, 'GET', READ, { headers: { host: '192.0.2.7:5000' } }), 403);
  });

  test('HTTP/1.0 is what nginx speaks where nothing is set, with no header that shows it', async () => {
    const bytes = await sendBytes(
      mirror.host,
      `GET ${READ} HTTP/1.0\r\nHost: ${mirror.host}\r\nConnection: close\r\n\r\n`,
    );
    assert.match(bytes.toString(), /^HTTP\/1\.1 403 /);
  });

  test('the session of a code reads and changes, from anywhere', async () => {
    const before = reloads();
    const { reading, changing, value } = await operatorSession(mirror);
    assert.deepEqual([value['principal'], value['canRead'], value['canChange']], ['operator', true, true]);
    const afar = { 'x-forwarded-for': '192.0.2.1' };
    assert.equal((await ask(mirror, 'GET', READ, { headers: { ...reading, ...afar } })).status, 200);
    const changed = await ask(mirror, 'POST', CHANGE, { body: {}, headers: { ...changing, ...afar } });
    assert.equal(changed.status, 200, changed.body.toString());
    assert.equal((changed.value as { outcome: string }).outcome, 'unchanged');
    assert.ok(reloads() > before);
  });

  test('and so over the public URL, where the cookie is for encrypted requests alone', async () => {
    await using behind = await startMirror({
      public_url: 'https://mirror.example.com',
      trusted_proxies: ['127.0.0.1'],
    });
    const { code } = await operate(behind, OPERATIONS.console);
    const https = { host: 'mirror.example.com', 'x-forwarded-proto': 'https', origin: 'https://mirror.example.com' };
    const answer = await ask(behind, 'POST', '/api/v1/session', { body: { code }, headers: https });
    assert.equal(answer.status, 200, answer.body.toString());
    assert.match(
      answer.headers['set-cookie'] ?? '',
      /^__Secure-entrepot-443=[\w-]{43}; Path=\/api; HttpOnly; SameSite=Strict; Secure$/,
    );
    const [cookie = ''] = (answer.headers['set-cookie'] ?? '').split(';');
    assert.equal((await ask(behind, 'GET', READ, { headers: { ...https, cookie } })).status, 200);
  });
});

describe('a host', () => {
  const port = (): string => mirror.host.split(':')[1] ?? '';
  const own = (): readonly string[] => [
    mirror.host,
    `localhost:${port()}`,
    'LOCALHOST',
    `entrepot.localhost:${port()}`,
    `[::1]:${port()}`,
    '192.0.2.1',
    'mirror.example.com',
    'mirror.example.com.',
    'plain.example.com:8080',
    'plain.example.com',
    'suffix.example.com',
    'ghcr.io.suffix.example.com',
    hostname(),
    hostname().split('.')[0] ?? '',
  ];
  test('of this server is served', async () => {
    for (const host of own()) {
      const answer = await ask(mirror, 'GET', '/api/v1/session', { headers: { host } });
      assert.equal(answer.status, 200, `${host}: ${answer.body.toString()}`);
    }
  });

  const foreign = [
    'evil.example.com',
    'evil.example.com:5000',
    'mirror.example.com.evil.example',
    'notsuffix.example.com',
    'localhost.evil.example',
    'evillocalhost',
    '127.0.0.1.evil.example',
  ];
  for (const host of foreign) {
    test(`${host} is none of this server: a page of it would be of the same origin`, async () => {
      for (const [method, path] of [
        ['GET', READ],
        ['GET', '/api/v1/session'],
        ['GET', '/api/v1/events'],
        ['POST', '/api/v1/session'],
        ['POST', CHANGE],
      ] as const) {
        const { changing } = await operatorSession(mirror);
        const body = method === 'POST' ? { body: {} } : {};
        const { detail } = problemIn(await ask(mirror, method, path, { headers: { ...changing, host }, ...body }), 421);
        assert.ok(detail.includes(`set public_url: http://${host}`), detail);
      }
    });
  }

  test('that is missing is none', async () => {
    const bytes = await rawRequest(mirror.host, { path: '/api/v1/session', headers: { host: null } });
    assert.equal(bytes.status, 400);
  });
});

describe('a page of another site', () => {
  const origins = [
    'https://evil.example.com',
    'null',
    'http://localhost:1',
    'http://127.0.0.1',
    'https://mirror.example.com',
    'x',
    '',
  ];
  for (const origin of origins) {
    test(`with the origin ${JSON.stringify(origin)} neither reads nor changes, whatever credential comes along`, async () => {
      const { changing } = await operatorSession(mirror);
      const before = reloads();
      for (const credential of [changing, { authorization: `Basic ${btoa('alice:alice-pw')}` }, {}]) {
        const headers = { ...credential, origin };
        problemIn(await ask(mirror, 'GET', READ, { headers }), 403);
        problemIn(await ask(mirror, 'GET', '/api/v1/session', { headers }), 403);
        problemIn(await ask(mirror, 'GET', '/api/v1/events', { headers }), 403);
        problemIn(await ask(mirror, 'POST', CHANGE, { headers, body: {} }), 403);
        problemIn(await ask(mirror, 'DELETE', '/api/v1/session', { headers }), 403);
      }
      assert.equal(reloads(), before);
      assert.equal((await ask(mirror, 'POST', CHANGE, { headers: changing, body: {} })).status, 200);
    });
  }

  for (const site of ['cross-site', 'same-site', 'none', 'x']) {
    test(`by Sec-Fetch-Site ${site} does not change`, async () => {
      const { changing } = await operatorSession(mirror);
      const headers = { ...changing, 'sec-fetch-site': site };
      problemIn(await ask(mirror, 'POST', CHANGE, { headers, body: {} }), 403);
      assert.equal((await ask(mirror, 'GET', READ, { headers })).status, site === 'none' ? 200 : 403);
    });
  }

  test('gets no leave by CORS', async () => {
    const headers = { origin: 'https://evil.example.com', 'access-control-request-method': 'POST' };
    const answer = await ask(mirror, 'OPTIONS', CHANGE, { headers });
    assert.ok(answer.status >= 400);
    for (const name of Object.keys(answer.headers)) assert.doesNotMatch(name, /^access-control-/);
  });

  test('but the page of this server does, by its own origin or a public URL', async () => {
    const { changing } = await operatorSession(mirror);
    const headers = { ...changing, origin: mirror.url, 'sec-fetch-site': 'same-origin' };
    assert.equal((await ask(mirror, 'POST', CHANGE, { headers, body: {} })).status, 200);
    const there = { ...changing, host: 'plain.example.com:8080', origin: 'http://plain.example.com:8080' };
    // Another port has another cookie.
    const cookie = changing['cookie']?.replace(/^entrepot-\d+/, 'entrepot-8080') ?? '';
    assert.equal((await ask(mirror, 'POST', CHANGE, { headers: { ...there, cookie }, body: {} })).status, 200);
  });
});

describe('every answer', () => {
  test('has the headers that keep other pages from it', async () => {
    const { changing } = await operatorSession(mirror);
    const answers = [
      await ask(mirror, 'GET', READ),
      await ask(mirror, 'GET', '/api/v1/session'),
      await ask(mirror, 'GET', '/api/openapi.json'),
      await ask(mirror, 'GET', '/api/nothing'),
      await ask(mirror, 'GET', READ, { headers: { host: 'evil.example.com' } }),
      await ask(mirror, 'POST', CHANGE, { headers: changing, body: {} }),
      await ask(mirror, 'POST', CHANGE, { headers: changing, body: '{' }),
    ];
    for (const { headers, status } of answers) {
      assert.equal(headers['x-content-type-options'], 'nosniff', String(status));
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.equal(headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'");
      assert.equal(headers['cache-control'], 'no-store');
      assert.ok(headers['x-request-id']);
    }
  });

  test('is logged as one line, with its route', async () => {
    const { headers } = await ask(mirror, 'GET', READ);
    const line = await mirror.logged(({ msg, id }) => msg === 'request' && id === headers['x-request-id']);
    assert.equal(line['route'], 'api');
  });

  test('has a tag, by which it is not sent again', async () => {
    const { headers, body } = await ask(mirror, 'GET', READ);
    const etag = headers['etag'] ?? '';
    assert.match(etag, /^W\/"[\w-]{22}"$/);
    for (const shown of [etag, `"x", ${etag}`, '*', etag.slice(2)]) {
      const again = await ask(mirror, 'GET', READ, { headers: { 'if-none-match': shown } });
      assert.deepEqual([again.status, again.body.length, again.headers['etag']], [304, 0, etag]);
    }
    assert.equal((await ask(mirror, 'GET', READ, { headers: { 'if-none-match': 'W/"other"' } })).status, 200);
    const head = await rawRequest(mirror.host, { method: 'HEAD', path: READ });
    assert.deepEqual(
      [head.status, head.headers['etag'], head.headers['content-length']],
      [200, etag, String(body.length)],
    );
  });
});

describe('a request that is wrong is told what', () => {
  test('a path', async () => {
    for (const path of [
      '/api/x',
      '/api/v1/nothing',
      '/api/v1/',
      '/api/v2/webhooks',
      '/api/v1/console',
      '/api/v1/backup/begin',
    ]) {
      assert.match(problemIn(await ask(mirror, 'GET', path), 404).detail, /openapi\.json/, path);
    }
    const { changing } = await operatorSession(mirror);
    problemIn(await ask(mirror, 'POST', '/api/v1/console', { headers: changing, body: {} }), 404);
    // Of the names of registries none begins with it.
    assert.notEqual((await mirror.get('/apix')).headers['content-type'], 'application/problem+json');
  });

  test('a method', async () => {
    const { changing } = await operatorSession(mirror);
    const wrong = problemIn(await ask(mirror, 'POST', READ, { headers: changing, body: {} }), 405);
    assert.match(wrong.detail, /GET, HEAD/);
    assert.equal((await ask(mirror, 'GET', CHANGE)).headers['allow'], 'POST');
    assert.equal((await ask(mirror, 'POST', READ, { headers: changing, body: {} })).headers['allow'], 'GET, HEAD');
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      assert.equal((await ask(mirror, method, READ, { headers: changing })).status, 405, method);
    }
  });

  test('a parameter', async () => {
    const faults = async (query: string) =>
      problemIn(await ask(mirror, 'GET', `/api/v1/pulls?${query}`), 400).errors?.map(({ parameter }) => parameter);
    assert.deepEqual(await faults('unknown=1&also='), ['unknown', 'also']);
    assert.deepEqual(await faults('limit=1&limit=2'), ['limit']);
    for (const limit of ['x', '0', '501', '1.5', '1e2', '', '0x10', '%F0', '99999999999999999999']) {
      assert.deepEqual(await faults(`limit=${limit}`), ['limit'], limit);
    }
    assert.deepEqual(await faults('running=yes'), ['running']);
    assert.deepEqual(await faults('outcome=good'), ['outcome']);
    assert.deepEqual(await faults('__proto__=1'), ['__proto__']);
    assert.deepEqual(await faults(`image=${'x'.repeat(301)}`), ['image']);
    const many = Array.from({ length: 500 }, (_, at) => `p${at}=1`).join('&');
    assert.equal((await faults(many))?.length, 20);
  });

  test('a body', async () => {
    const { changing } = await operatorSession(mirror);
    const sent = async (body: string, headers: Record<string, string> = {}) =>
      ask(mirror, 'POST', '/api/v1/purge', { headers: { ...changing, ...headers }, body });
    const deep = `${'['.repeat(1000)}${']'.repeat(1000)}`;
    for (const body of ['{', 'x', '{"patterns":', deep, '\u0000']) problemIn(await sent(body), 400);
    const { errors } = problemIn(await sent('{"patterns":[1],"dryRun":"yes"}'), 400);
    assert.deepEqual(
      errors?.map(({ pointer }) => pointer),
      ['/patterns/0', '/dryRun'],
    );
    for (const body of ['null', '[]', '"x"', '1']) problemIn(await sent(body), 400);
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'application/jsonx',
      '',
    ]) {
      problemIn(await sent('{"patterns":["nginx"]}', { 'content-type': type }), 415);
    }
    problemIn(await sent(JSON.stringify({ patterns: ['x'.repeat(65 * 1024)] })), 413);
    assert.equal(
      (await sent('{"patterns":["nginx"],"dryRun":true}', { 'content-type': 'application/json; charset=utf-8' }))
        .status,
      200,
    );
  });

  test('what an operation refuses', async () => {
    const { changing } = await operatorSession(mirror);
    const post = (name: string, body: object) => ask(mirror, 'POST', `/api/v1/${name}`, { headers: changing, body });
    problemIn(await post('users/remove', { name: 'unknown' }), 409);
    problemIn(await post('webhooks/test', {}), 422);
    problemIn(await post('refresh', { patterns: [`nginx@sha256:${'a'.repeat(64)}`] }), 422);
    problemIn(await post('rollback', { image: 'nginx' }), 409);
  });
});

describe('listeners', () => {
  test('of the administration alone answer nothing else, and the others no API', async () => {
    await using apart = await startMirror({ admin: { listen: ['127.0.0.1:0'] } });
    const [main, admin] = apart.app.listeners.map(({ address }) => address);
    assert.ok(main !== undefined && admin !== undefined);
    for (const path of ['/api', '/api/v1/webhooks', '/api/openapi.json', '/ui', '/ui/']) {
      assert.equal((await rawRequest(main, { path })).status, 404, path);
    }
    assert.equal((await ask(apart, 'GET', READ, { at: admin })).status, 200);
    for (const path of ['/healthz', '/readyz', '/metrics', '/help']) {
      assert.equal((await rawRequest(admin, { path })).status, 200, path);
    }
    for (const path of ['/v2/', '/v2/library/nginx/manifests/latest', '/token', '/ca.crt', '/x', '/_catalog']) {
      assert.equal((await rawRequest(admin, { path })).status, 404, path);
    }
    const { urls } = await operate(apart, OPERATIONS.console);
    assert.deepEqual(urls, [`http://${admin}/ui/`]);
    // What is open needs a restart to change.
    const { outcome, restart } = await apart.reload({ admin: { enabled: false } });
    assert.deepEqual([outcome, restart], ['unchanged', ['admin.enabled', 'admin.listen']]);
    assert.equal((await ask(apart, 'GET', READ, { at: admin })).status, 200);
  });

  test('answer no API where it is off, and a reload turns it on', async () => {
    await using off = await startMirror({ admin: { enabled: false } });
    for (const path of ['/api', READ, '/ui']) assert.equal((await off.get(path)).status, 404);
    await assert.rejects(operate(off, OPERATIONS.console), /admin: \{enabled: true\}/);
    assert.equal((await off.reload({})).outcome, 'changed');
    assert.equal((await ask(off, 'GET', READ)).status, 200);
    assert.deepEqual((await operate(off, OPERATIONS.console)).urls, [`${off.url}/ui/`]);
    assert.equal((await off.reload({ admin: { enabled: false } })).outcome, 'changed');
    assert.equal((await off.get(READ)).status, 404);
  });
});

test('the console is where people can go: the public URL first, every address as this machine, no socket', async () => {
  await using workspace = await Workspace.open();
  await using open = await startMirror({
    listen: ['0.0.0.0:0', `unix:${workspace.path('s')}`, '127.0.0.1:0'],
    public_url: 'https://mirror.example.com/',
  });
  const [every, , local] = open.app.listeners;
  assert.deepEqual((await operate(open, OPERATIONS.console)).urls, [
    'https://mirror.example.com/ui/',
    `http://127.0.0.1:${every?.port}/ui/`,
    `http://127.0.0.1:${local?.port}/ui/`,
  ]);
});

test('the API answers where no slot is free for pulls, and its streams take none', async (t) => {
  const asked = Promise.withResolvers<void>();
  const silent = createServer(() => asked.resolve()).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const upstream = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  await using full = await startMirror({
    limits: { max_inflight: 1, max_waiting: 1 },
    registries: { silent: { upstreams: [upstream] } },
  });
  const leave = new AbortController();
  const streams = await Promise.all(
    Array.from({ length: 3 }, () => fetch(`${full.url}/api/v1/events`, { signal: leave.signal })),
  );
  assert.deepEqual(
    streams.map(({ status }) => status),
    [200, 200, 200],
  );
  const pull = fetch(`${full.url}/v2/silent/app/manifests/latest`, { signal: leave.signal }).catch(() => undefined);
  await asked.promise;
  assert.equal((await ask(full, 'GET', READ)).status, 200);
  leave.abort();
  await pull;
  silent.closeAllConnections();
});
