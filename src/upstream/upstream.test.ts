import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import { byteSourceOf } from '../lib/index.ts';
import { type HttpClient, HttpError, type HttpReply, type HttpRequest } from '../net/index.ts';
import type { ConfiguredUpstream, FailureKind, TransportSpec } from '../oci/index.ts';
import { type Events, Telemetry } from '../telemetry/index.ts';
import { UpstreamError } from './error.ts';
import { Upstream } from './upstream.ts';
import type { UpstreamRequest } from './upstream-request.ts';

const PUBLIC = '93.184.216.34';
const PRIVATE = '10.1.2.3';
const CANARY = 'canary-secret';

interface Scene {
  readonly spec?: Partial<ConfiguredUpstream>;
  readonly allowPrivate?: readonly string[];
  readonly now?: () => number;
  /** What each host answers, by method and URL without its query. */
  readonly play: (request: HttpRequest, count: number) => Partial<HttpReply> | Error;
  /** In place of all that, for small exchanges. */
  readonly fetch?: HttpClient['fetch'];
}

/** An upstream over a fake client that writes down what it is asked. */
function stage(scene: Scene) {
  const requests: HttpRequest[] = [];
  const clients = new Set<TransportSpec>();
  const telemetry = new Telemetry();
  const events: Events['upstream.request'][] = [];
  const warnings: string[] = [];
  telemetry.on('upstream.request', (event) => events.push(event));
  telemetry.on('warning', ({ message }) => warnings.push(message));
  const answer = (request: HttpRequest): HttpReply => {
    requests.push(request);
    const reply = scene.play(request, requests.length);
    if (reply instanceof Error) throw reply;
    const headers = Object.assign(Object.create(null) as Record<string, string>, reply.headers);
    return { status: 200, setCookies: [], remoteAddress: PUBLIC, body: Buffer.from('{}'), ...reply, headers };
  };
  const client: HttpClient = {
    fetch: scene.fetch ?? ((request) => Promise.try(answer, request)),
    open: (request) =>
      Promise.try(answer, request).then((reply) => ({ ...reply, length: undefined, body: byteSourceOf([reply.body]) })),
    close: () => Promise.resolve(),
  };
  const spec = upstreamSpec(
    { name: 'reg', url: 'https://reg.example.com', ...scene.spec },
    { allowPrivate: scene.allowPrivate ?? [] },
  );
  const upstream = new Upstream('apps', spec, {
    httpClientFor(transport) {
      clients.add(transport);
      return client;
    },
    telemetry,
    now: scene.now ?? Date.now,
  });
  const said = (): string => JSON.stringify([events, warnings]);
  return { upstream, requests, clients, events, warnings, said };
}

const question: UpstreamRequest = {
  method: 'GET',
  path: '/v2/app/manifests/latest',
  scope: 'repository:app:pull',
  headers: { accept: 'a/b', range: 'bytes=0-1' },
  kind: 'pull',
};

const BEARER = 'Bearer realm="https://auth.example.com/token",service="s",scope="repository:app:pull"';
const credentials = { username: 'me', password: CANARY };

/** A registry with a token service: good for `Bearer t<n>` where n is the newest. */
function tokenRegistry(options: { challenge?: string; life?: number } = {}) {
  const state = { tokens: 0, revoked: false };
  const play = (request: HttpRequest): Partial<HttpReply> => {
    if (request.url.pathname.endsWith('/token')) {
      state.tokens += 1;
      state.revoked = false;
      return { body: Buffer.from(JSON.stringify({ token: `t${state.tokens}`, expires_in: options.life ?? 300 })) };
    }
    const good = !state.revoked && request.headers['authorization'] === `Bearer t${state.tokens}`;
    return good ? {} : { status: 401, headers: { 'www-authenticate': options.challenge ?? BEARER } };
  };
  return { state, play };
}

async function failureOf(promise: Promise<unknown>, kind: FailureKind): Promise<UpstreamError> {
  const error: unknown = await promise.then(
    () => assert.fail('it should have failed'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof UpstreamError, String(error));
  assert.equal(error.kind, kind, error.message);
  assert.doesNotMatch(`${error.message} ${error.stack}`, new RegExp(CANARY));
  return error;
}

describe('challenges', () => {
  test('one is answered, and foreseen the next time', async () => {
    const { play } = tokenRegistry();
    const { upstream, requests, events } = stage({ play });
    const first = await upstream.fetch(question, 100);
    await upstream.fetch(question, 100);
    assert.deepEqual([first.reply.status, first.visibility], [200, 'public']);
    assert.deepEqual(
      events.map(({ purpose, status, url }) => `${purpose} ${status} ${url}`),
      [
        'api 401 https://reg.example.com/v2/app/manifests/latest',
        'token 200 https://auth.example.com/token',
        'api 200 https://reg.example.com/v2/app/manifests/latest',
        'api 200 https://reg.example.com/v2/app/manifests/latest',
      ],
    );
    assert.equal(requests[1]?.headers['authorization'], undefined, 'the token is asked for anonymously');
  });

  test('a revoked token is fetched again, once for all who were refused', async () => {
    const { state, play } = tokenRegistry();
    let now = 0;
    const { upstream } = stage({ play, now: () => (now += 1) });
    await upstream.fetch(question, 100);
    state.revoked = true;
    const answers = await Promise.all(Array.from({ length: 50 }, () => upstream.fetch(question, 100)));
    assert.deepEqual([...new Set(answers.map(({ reply }) => reply.status))], [200]);
    assert.equal(state.tokens, 2);
  });

  test('fifty first requests fetch one token', async () => {
    const { state, play } = tokenRegistry();
    const { upstream } = stage({ play });
    await Promise.all(Array.from({ length: 50 }, () => upstream.fetch(question, 100)));
    assert.equal(state.tokens, 1);
  });

  test('a fresh token that is refused is the last word (Harbor says 401 for what it does not have)', async () => {
    const { upstream, events } = stage({
      play: ({ url }) =>
        url.pathname === '/token'
          ? { body: Buffer.from(`{"token":"${Math.random()}"}`) }
          : { status: 401, headers: { 'www-authenticate': BEARER } },
    });
    const answer = await upstream.fetch(question, 100);
    assert.equal((await upstream.failure(question, answer)).kind, 'denied');
    assert.equal(events.length, 3);
    await upstream.fetch(question, 100);
    assert.equal(events.length <= 3 + 4, true, 'and the next time it costs at most one renewal');
  });

  test('a 403 renews a token that has grown old, and believes one that has not', async () => {
    let now = 0;
    let withdrawn = '';
    let tokens = 0;
    const { upstream, events } = stage({
      now: () => now,
      play: ({ url, headers }) => {
        if (url.pathname === '/token') return { body: Buffer.from(`{"token":"t${(tokens += 1)}","expires_in":3000}`) };
        if (headers['authorization'] === undefined) return { status: 401, headers: { 'www-authenticate': BEARER } };
        return headers['authorization'] === withdrawn ? { status: 403 } : {};
      },
    });
    await upstream.fetch(question, 100);
    withdrawn = 'Bearer t1';
    now = 59_999;
    assert.equal((await upstream.fetch(question, 100)).reply.status, 403);
    now = 60_000;
    assert.equal((await upstream.fetch(question, 100)).reply.status, 200);
    assert.equal(events.filter(({ purpose }) => purpose === 'token').length, 2);
  });

  test('a scope that is not of the repository is remembered for all of them (public ECR)', async () => {
    const { play } = tokenRegistry({ challenge: 'Bearer realm="https://auth.example.com/token",scope="aws"' });
    const { upstream, events } = stage({ play });
    await upstream.fetch(question, 100);
    await upstream.fetch({ ...question, path: '/v2/other/manifests/x', scope: 'repository:other:pull' }, 100);
    assert.deepEqual(
      events.map(({ status }) => status),
      [401, 200, 200, 200],
    );
  });

  test('a challenge without a scope is answered with the one that is needed', async () => {
    const { play } = tokenRegistry({ challenge: 'Bearer realm="https://auth.example.com/token"' });
    const { upstream, requests } = stage({ play });
    await upstream.fetch(question, 100);
    assert.equal(requests[1]?.url.searchParams.get('scope'), 'repository:app:pull');
  });

  test('a credential goes to the token service alone, as Basic', async () => {
    const { play } = tokenRegistry();
    const { upstream, requests, said } = stage({ play, spec: { credentials } });
    assert.equal((await upstream.fetch(question, 100)).visibility, 'private');
    const basic = `Basic ${Buffer.from(`me:${CANARY}`).toString('base64')}`;
    assert.deepEqual(
      requests.map(({ headers }) => headers['authorization']),
      [undefined, basic, 'Bearer t1'],
    );
    assert.doesNotMatch(said(), new RegExp(`${CANARY}|${basic.slice(6)}|t1"`));
  });

  test('CVE-2026-33540: a realm elsewhere gets nothing, and the operator hears of it once', async () => {
    const challenge = 'Bearer realm="https://evil.example.net/token",service="s"';
    const { upstream, requests, warnings } = stage({
      spec: { credentials },
      play: () => ({ status: 401, headers: { 'www-authenticate': challenge } }),
    });
    await failureOf(upstream.fetch(question, 100), 'denied');
    await failureOf(upstream.open(question), 'denied');
    assert.deepEqual(
      requests.map(({ url }) => url.host),
      ['reg.example.com', 'reg.example.com'],
    );
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /evil\.example\.net.*token_realms/);
  });

  test('Basic is given where there is a credential, and remembered', async () => {
    const { upstream, events, requests } = stage({
      spec: { credentials },
      play: ({ headers }) =>
        headers['authorization']?.startsWith('Basic ') === true
          ? {}
          : { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
    });
    assert.equal((await upstream.fetch(question, 100)).visibility, 'private');
    await upstream.fetch({ ...question, scope: 'repository:other:pull' }, 100);
    assert.deepEqual(
      events.map(({ status }) => status),
      [401, 200, 200],
    );
    assert.equal(
      requests.every(({ url }) => url.host === 'reg.example.com'),
      true,
    );
  });

  test('a wrong password is tried once', async () => {
    const { upstream, events } = stage({
      spec: { credentials },
      play: () => ({ status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }),
    });
    assert.equal((await upstream.fetch(question, 100)).reply.status, 401);
    assert.equal(events.length, 2);
  });

  test('Basic without a credential stands', async () => {
    const { upstream, events } = stage({
      play: () => ({ status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }),
    });
    assert.equal((await upstream.fetch(question, 100)).reply.status, 401);
    assert.equal(events.length, 1);
  });

  test("the operator's own Authorization is sent as it is, and no challenge is answered", async () => {
    const { upstream, requests } = stage({
      spec: { credentials, headers: { Authorization: 'Bearer own' } },
      play: () => ({ status: 401, headers: { 'www-authenticate': BEARER } }),
    });
    const answer = await upstream.fetch(question, 100);
    assert.deepEqual(
      [answer.visibility, requests.length, requests[0]?.headers['authorization']],
      ['private', 1, 'Bearer own'],
    );
  });

  test('a credential that cannot be read is a failure for now', async () => {
    const { upstream, warnings } = stage({
      ...tokenRegistry(),
      spec: { credentials: { username: 'me', password: { env: 'ENTREPOT_NOT_SET' } } },
    });
    assert.match((await failureOf(upstream.fetch(question, 100), 'unavailable')).message, /ENTREPOT_NOT_SET/);
    assert.equal(warnings.length, 1);
  });

  const services: readonly (readonly [string, Partial<HttpReply> | Error, FailureKind])[] = [
    ['refuses', { status: 401 }, 'denied'],
    ['is busy', { status: 429, headers: { 'retry-after': '9' } }, 'throttled'],
    ['is down', { status: 503 }, 'unavailable'],
    ['is not there', new HttpError('refused', 'nothing listens at auth.example.com:443'), 'unavailable'],
    ['redirects', { status: 307, headers: { location: 'https://evil.example.net/' } }, 'invalid'],
    ['answers without a token', {}, 'invalid'],
    ['answers a page', { body: Buffer.from('<html>') }, 'invalid'],
  ];
  for (const [why, reply, kind] of services) {
    test(`a token service that ${why} makes the answer ${kind}`, async () => {
      const { upstream, requests } = stage({
        spec: { credentials },
        play: ({ url }) =>
          url.pathname === '/token' ? reply : { status: 401, headers: { 'www-authenticate': BEARER } },
      });
      const error = await failureOf(upstream.open(question), kind);
      assert.equal(error.upstream, 'reg');
      assert.equal(error.retryAfter, kind === 'throttled' ? 9 : undefined);
      assert.equal(requests.length, 2);
    });
  }
});

/** The upstream redirects to the first, which redirects to the next, and so on; the last answers. */
function chain(...steps: readonly (readonly [location: string, remoteAddress?: string])[]): Scene['play'] {
  return (_request, count) => {
    const remoteAddress = steps[count - 2]?.[1] ?? PUBLIC;
    const next = steps[count - 1];
    return next === undefined ? { remoteAddress } : { status: 307, headers: { location: next[0] }, remoteAddress };
  };
}

describe('redirects', () => {
  const secretive: Partial<ConfiguredUpstream> = {
    headers: { Authorization: `Bearer ${CANARY}`, 'X-Key': CANARY, Cookie: CANARY },
  };

  test('no right of ours crosses to another origin, nor comes back', async () => {
    const play = chain(['/elsewhere'], ['https://cdn.example.net/x?sig=1'], ['https://reg.example.com/back']);
    const { upstream, requests, said } = stage({ play, spec: secretive });
    const answer = await upstream.fetch(question, 100);
    assert.deepEqual(
      requests.map(({ headers }) => [headers['authorization'], headers['x-key'], headers['cookie']].includes(CANARY)),
      [true, true, false, false],
    );
    assert.deepEqual(
      requests.map(({ headers }) => headers['authorization'] !== undefined),
      [true, true, false, false],
    );
    assert.deepEqual(
      requests.map(({ headers }) => headers['range']),
      Array(4).fill('bytes=0-1'),
      'what is asked stays',
    );
    assert.deepEqual([answer.redirected, answer.visibility], [true, 'private']);
    assert.doesNotMatch(said(), /canary|sig=/);
  });

  test('another port or scheme is another origin', async () => {
    for (const location of ['https://reg.example.com:8443/x', 'https://reg.example.com/x']) {
      const url = location.includes('8443') ? 'https://reg.example.com' : 'http://reg.example.com';
      const { upstream, requests } = stage({ play: chain([location]), spec: { ...secretive, url } });
      await upstream.fetch(question, 100);
      assert.doesNotMatch(JSON.stringify(requests[1]?.headers), new RegExp(CANARY), location);
    }
  });

  test('a token stays at home', async () => {
    const registry = tokenRegistry();
    const { upstream, requests } = stage({
      spec: { credentials },
      play: (request) => {
        if (request.url.host === 'cdn.example.net') return {};
        const reply = registry.play(request);
        const passed = request.url.host === 'reg.example.com' && reply.status === undefined;
        return passed ? { status: 307, headers: { location: 'https://cdn.example.net/x' } } : reply;
      },
    });
    const answer = await upstream.open(question);
    assert.equal(answer.visibility, 'private');
    assert.deepEqual(
      requests.map(({ headers, url }) => [url.host, headers['authorization']?.split(' ')[0]]),
      [
        ['reg.example.com', undefined],
        ['auth.example.com', 'Basic'],
        ['reg.example.com', 'Bearer'],
        ['cdn.example.net', undefined],
      ],
    );
  });

  test('five are followed, six are not', async () => {
    const hops = Array.from({ length: 6 }, (_, index) => [`https://cdn${index}.example.net/`] as const);
    const five = stage({ play: chain(...hops.slice(1)) });
    assert.equal((await five.upstream.fetch(question, 100)).reply.status, 200);
    const six = stage({ play: chain(...hops) });
    await failureOf(six.upstream.fetch(question, 100), 'invalid');
    assert.equal(six.requests.length, 6);
  });

  test('a redirect to itself ends', async () => {
    const { upstream, requests } = stage({
      play: () => ({ status: 302, headers: { location: '/v2/app/manifests/latest' } }),
    });
    await failureOf(upstream.fetch(question, 100), 'invalid');
    assert.equal(requests.length, 6);
  });

  test('a public upstream leads to public addresses only: it is written on each request', async () => {
    const { upstream, requests } = stage({ play: chain(['https://cdn.example.net/x']), allowPrivate: ['10.0.0.0/8'] });
    await upstream.fetch(question, 100);
    assert.deepEqual(
      requests.map(({ addresses }) => addresses),
      [{ kind: 'any' }, { kind: 'public', allow: ['10.0.0.0/8'] }],
    );
  });

  test('a private upstream leads to private ones, but what it led to on the internet does not', async () => {
    const hosts = [
      ['http://minio.corp.example/x', PRIVATE],
      ['http://cdn.example.net/y', PUBLIC],
      ['http://box.corp.example/z', PRIVATE],
      ['http://shelf.corp.example/z', PRIVATE],
    ] as const;
    const { upstream, requests } = stage({
      spec: { url: 'http://reg.example.com' },
      play: (request, count) => {
        const reply = chain(...hosts)(request, count);
        assert.ok(!(reply instanceof Error));
        return count === 1 ? { ...reply, remoteAddress: PRIVATE } : reply;
      },
    });
    await upstream.fetch(question, 100);
    assert.deepEqual(
      requests.map(({ addresses }) => addresses.kind),
      ['any', 'any', 'any', 'public', 'public'],
    );
  });

  test('CVE-2026-32591: an upstream that a client named is dialled at public addresses only', async () => {
    const { upstream, requests } = stage({ play: chain(['/x']), spec: { addresses: 'public' } });
    await upstream.fetch(question, 100);
    assert.deepEqual(
      requests.map(({ addresses }) => addresses.kind),
      ['public', 'public'],
    );
  });

  test('so is its token service, also where that is the same host', async () => {
    for (const [addresses, dialled] of [
      ['public', 'public'],
      ['any', 'any'],
    ] as const) {
      const play: Scene['play'] = ({ url, headers }) => {
        if (url.pathname === '/token') return { body: Buffer.from('{"token":"t"}') };
        if (headers['authorization'] === 'Bearer t') return {};
        return {
          status: 401,
          headers: { 'www-authenticate': 'Bearer realm="https://reg.example.com:8443/token",scope="a"' },
        };
      };
      const { upstream, requests } = stage({ play, spec: { addresses } });
      await upstream.fetch(question, 100);
      assert.deepEqual(
        requests.map((each) => [each.url.pathname, each.addresses.kind]),
        [
          [requests[0]?.url.pathname, dialled],
          ['/token', dialled],
          [requests[0]?.url.pathname, dialled],
        ],
      );
    }
  });

  test('what the caller does not follow is an answer', async () => {
    const { upstream } = stage({ play: chain(['https://cdn.example.net/x']) });
    const answer = await upstream.fetch({ ...question, follow: () => false }, 100);
    assert.deepEqual([answer.reply.status, answer.redirected], [307, false]);
  });

  test('a target that asks for a token gets an anonymous one, of its own domain', async () => {
    const play: Scene['play'] = ({ url, headers }) => {
      if (url.host === 'reg.example.com')
        return { status: 307, headers: { location: 'https://eu-docker.pkg.dev/v2/x' } };
      if (url.pathname === '/token') return { body: Buffer.from('{"token":"t"}') };
      if (headers['authorization'] === 'Bearer t') return {};
      return { status: 401, headers: { 'www-authenticate': 'Bearer realm="https://auth.pkg.dev/token",scope="a"' } };
    };
    const { upstream, requests } = stage({ play, spec: { credentials } });
    const answer = await upstream.fetch(question, 100);
    assert.deepEqual([answer.reply.status, answer.visibility], [200, 'public']);
    assert.equal(
      requests.some(({ headers }) => headers['authorization']?.startsWith('Basic')),
      false,
    );
    assert.equal(requests[2]?.addresses.kind, 'public');
  });

  test("a target that asks for a token from elsewhere, even the upstream's, gets none", async () => {
    for (const realm of ['https://evil.example.org/token', 'https://auth.example.com/token']) {
      const { upstream, requests } = stage({
        spec: { credentials, tokenRealms: ['auth.example.com'] },
        play: ({ url }) =>
          url.host === 'reg.example.com'
            ? { status: 307, headers: { location: 'https://cdn.example.net/x' } }
            : { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm}"` } },
      });
      assert.equal((await upstream.fetch(question, 100)).reply.status, 401);
      assert.equal(requests.length, 2, realm);
    }
  });
});

describe('connections', () => {
  test('a client certificate is for the upstream alone; a credential goes over checked TLS', async () => {
    const tls = { caFile: 'ca.pem', certFile: 'c.pem', keyFile: 'k.pem', insecureSkipVerify: true };
    const registry = tokenRegistry();
    const { upstream, clients } = stage({
      spec: { credentials, tls },
      play: (request) => {
        const reply = registry.play(request);
        const passed = request.url.host === 'reg.example.com' && reply.status === undefined;
        return passed
          ? { status: 307, headers: { location: 'https://cdn.example.net/x' } }
          : request.url.host === 'cdn.example.net'
            ? {}
            : reply;
      },
    });
    assert.equal((await upstream.fetch(question, 100)).visibility, 'private');
    await upstream.fetch(question, 100);
    const caFiles = ['ca.pem'];
    assert.deepEqual(
      [...clients].map((each) => each.tls),
      [
        { caFiles, certFile: 'c.pem', keyFile: 'k.pem', insecureSkipVerify: true },
        { caFiles, insecureSkipVerify: false },
        { caFiles, insecureSkipVerify: true },
      ],
    );
  });

  test('a client that cannot be made is a failure for now, and made the next time', async () => {
    let files = 0;
    const { upstream } = stage({ play: () => ({}) });
    const broken = new Upstream('apps', upstream.spec, {
      httpClientFor: () => Promise.reject(new Error(`ca.pem cannot be read (${(files += 1)})`)),
      telemetry: new Telemetry(),
      now: Date.now,
    });
    await failureOf(broken.fetch(question, 100), 'unavailable');
    assert.match((await failureOf(broken.fetch(question, 100), 'unavailable')).message, /ca\.pem cannot be read \(2\)/);
  });

  test('an exchange that breaks is told of and becomes a failure', async () => {
    const { upstream, events } = stage({ play: () => new HttpError('timeout', 'no answer from reg.example.com:443') });
    assert.match((await failureOf(upstream.fetch(question, 100), 'unavailable')).message, /no answer/);
    assert.deepEqual(
      [events[0]?.status, events[0]?.error, events[0]?.body],
      [0, 'timeout', { bytes: 0, isOver: true, waitedMs: 0 }],
    );
  });

  test('an exchange that trickles is ended after a minute', async () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    try {
      const asked = Promise.withResolvers<void>();
      const { upstream } = stage({
        play: () => ({}),
        fetch: (request) =>
          new Promise((_resolve, reject) => {
            request.signal?.addEventListener('abort', () => reject(new HttpError('aborted', 'aborted')));
            asked.resolve();
          }),
      });
      const failure = failureOf(upstream.fetch(question, 100), 'unavailable');
      await asked.promise;
      mock.timers.tick(60_000);
      await failure;
    } finally {
      mock.timers.reset();
    }
  });

  test('an abort rejects with its own reason', async () => {
    const controller = new AbortController();
    const reason = new Error('the client left');
    const { upstream } = stage({
      play: () => {
        controller.abort(reason);
        return new HttpError('aborted', 'aborted');
      },
    });
    await assert.rejects(upstream.fetch({ ...question, signal: controller.signal }, 100), reason);
  });

  test('a failure says what the registry called it, and not what else it wrote', async () => {
    const body = Buffer.from(`{"errors":[{"code":"TOOMANYREQUESTS","message":"you sent ${CANARY}"}]}`);
    const { upstream } = stage({ play: () => ({ status: 429, headers: { 'retry-after': '30' }, body }) });
    const answer = await upstream.open(question);
    const error = await upstream.failure(question, answer);
    assert.equal(
      error.message,
      'reg answered 429 TOOMANYREQUESTS to GET https://reg.example.com/v2/app/manifests/latest',
    );
    assert.equal(error.retryAfter, 30);
  });
});
