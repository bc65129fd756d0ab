import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { serve } from '../../test/support/connect-upstreams.ts';
import { startTcpTarget } from '../../test/support/forward-stage.ts';
import { buildImage } from '../../test/support/image.ts';
import { Gate } from '../../test/support/scripted/faults.ts';
import { startScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import { createHttpClient } from '../net/index.ts';
import type { ConfiguredUpstream } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { type CheckOptions, checkUpstreams } from './check-upstreams.ts';
import type { CheckTarget, UpstreamReport } from './report.ts';

const REPOSITORY = 'ratelimitpreview/test';

function targetOf(
  url: string,
  more: Partial<ConfiguredUpstream & CheckTarget> & { allowPrivate?: readonly string[] } = {},
): CheckTarget {
  const { kind = 'registry', path = '/v2/', name = 'apps', quotaRepository, allowPrivate = [], ...own } = more;
  const spec = upstreamSpec({ url, ...own }, { allowPrivate });
  return { kind, name, spec, path, ...(quotaRepository === undefined ? {} : { quotaRepository }) };
}

function openTransport(telemetry: Telemetry): ReturnType<CheckOptions['openTransport']> {
  const client = createHttpClient({ telemetry });
  return {
    optionsFor: () => Promise.resolve({ telemetry }),
    clientFor: () => Promise.resolve(client),
    close: () => client.close(),
  };
}

function options(more: Partial<CheckOptions> = {}): CheckOptions {
  return {
    openTransport,
    timeout: 20_000,
    ...more,
  };
}

async function checkOne(target: CheckTarget, more?: Partial<CheckOptions>): Promise<UpstreamReport> {
  const [report] = await checkUpstreams([target], options(more));
  assert.ok(report !== undefined);
  return report;
}

describe('what is left of the pulls', () => {
  test('is asked of the repository that says so, by a HEAD that costs none', async (t) => {
    const upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    t.after(() => upstream.stop());
    upstream.add(buildImage({ seed: 'quota', layers: [100] }), REPOSITORY, ['latest']);
    const quota = async () => {
      const report = await checkOne(targetOf(upstream.url, { quotaRepository: REPOSITORY }));
      return report.steps.find(({ step }) => step === 'quota');
    };
    const found = await quota();
    assert.deepEqual(
      { ...found, durationMs: 0, summary: '' },
      {
        step: 'quota',
        outcome: 'ok',
        durationMs: 0,
        summary: '',
        credential: 'anonymous',
        limit: 100,
        remaining: 100,
        windowSeconds: 21_600,
      },
    );
    assert.equal(found?.summary, '100 of 100 pulls left, in 6 h (anonymous)');
    upstream.limitPulls(7);
    const few = await quota();
    assert.equal(few?.outcome, 'warning');
    assert.match(few?.remedy ?? '', /credentials/);
    assert.equal(upstream.count({ kind: 'manifest', method: 'GET' }), 0);
  });

  test('is nothing to ask for where the login failed', async (t) => {
    const upstream = await startScriptedUpstream({
      personality: 'dockerHub',
      credentials: { username: 'ada', password: 'x' },
    });
    t.after(() => upstream.stop());
    const credentials = { username: 'ada', password: 'y' };
    const report = await checkOne(targetOf(upstream.url, { quotaRepository: REPOSITORY, credentials }));
    assert.deepEqual(
      report.steps.map(({ step, outcome }) => [step, outcome]),
      [
        ['tcp', 'ok'],
        ['http', 'ok'],
        ['token', 'failed'],
      ],
    );
    assert.deepEqual([report.reachable, report.outcome], [true, 'failed']);
    assert.equal(upstream.count({ kind: 'manifest' }), 0);
  });
});

describe('a header of the operator that logs in', () => {
  test('is what is received, or refused', async (t) => {
    const upstream = await startScriptedUpstream({
      personality: 'ecr',
      credentials: { username: 'AWS', password: 'x' },
    });
    t.after(() => upstream.stop());
    const authorization = `Basic ${Buffer.from('AWS:x').toString('base64')}`;
    const right = await checkOne(targetOf(upstream.url, { headers: { Authorization: authorization } }));
    assert.deepEqual(
      right.steps.map(({ step, outcome }) => [step, outcome]),
      [
        ['tcp', 'ok'],
        ['http', 'ok'],
      ],
    );
    const wrong = await checkOne(targetOf(upstream.url, { headers: { Authorization: 'Basic eA==' } }));
    const token = wrong.steps.find(({ step }) => step === 'token');
    assert.deepEqual([token?.outcome, token?.step === 'token' && token.credential], ['failed', 'header']);
    assert.match(token?.summary ?? '', /^the authorization header: refused, 401/);
    assert.doesNotMatch(JSON.stringify(wrong), /eA==/);
  });
});

describe('a challenge that names a repository which stands for any', () => {
  test('answers without it, and an anonymous check needs no token without an image', async () => {
    const asked: string[] = [];
    await using registry = await serve((request, response) => {
      const url = new URL(request.url ?? '', `http://${request.headers.host}`);
      const basic = request.headers.authorization?.startsWith('Basic ') === true;
      if (url.pathname === '/token') {
        asked.push(url.search);
        response.writeHead(basic && !url.searchParams.has('scope') ? 200 : 403).end('{"token":"t"}');
      } else if (request.headers.authorization === 'Bearer t') response.writeHead(200).end('{}');
      else {
        const scope = 'repository:user/image:pull';
        const challenge = `Bearer realm="${url.origin}/token",service="here",scope="${scope}"`;
        response.writeHead(401, { 'www-authenticate': challenge }).end();
      }
    });
    const credentials = { username: 'ada', password: 'x' };
    const known = await checkOne(targetOf(registry.url, { credentials }));
    assert.deepEqual(
      [known.outcome, known.steps.at(-1)?.summary],
      ['ok', `the credential: accepted, 200 (token of ${registry.url}/token)`],
    );
    const unknown = await checkOne(targetOf(registry.url));
    assert.equal(unknown.outcome, 'ok');
    assert.match(unknown.steps.at(-1)?.summary ?? '', /gives no token without an image \(403 of /);
    assert.deepEqual(asked, ['?service=here', '?service=here']);
  });
});

describe('what answers and is no registry', () => {
  const page = (request: IncomingMessage, response: ServerResponse): void =>
    void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>Log in here');

  test('can be reached, and wants to be looked at', async () => {
    await using site = await serve(page);
    const { reachable, outcome, steps } = await checkOne(targetOf(site.url));
    assert.deepEqual([reachable, outcome], [true, 'warning']);
    assert.match(steps.at(-1)?.remedy ?? '', /no registry/);
    const route = await checkOne(targetOf(site.url, { kind: 'mirror', path: '' }));
    assert.equal(route.outcome, 'ok');
  });

  for (const [what, serves, remedy] of [
    [
      'speaks something else',
      (socket: Socket) => socket.end('SSH-2.0-OpenSSH_10.0\r\n'),
      /not an HTTP\/1\.1 server.*https:/,
    ],
    ['hangs up', (socket: Socket) => socket.once('data', () => socket.end()), /hangs up.*https:/],
  ] as const) {
    test(`${what}, and is not said to be slow`, async () => {
      await using server = await startTcpTarget(serves);
      const { reachable, steps } = await checkOne(targetOf(`http://127.0.0.1:${server.port}`));
      assert.equal(reachable, false);
      assert.match(steps.at(-1)?.remedy ?? '', remedy);
    });
  }
});

describe('an answer that is not the upstream’s own', () => {
  const html = { 'content-type': 'text/html' };
  const rows: readonly (readonly [
    status: number,
    headers: Readonly<Record<string, string>>,
    summary: RegExp,
    remedy: RegExp,
  ])[] = [
    [405, { 'x-amzn-waf-action': 'captcha' }, /status 405, blocked by the web application firewall of AWS/, /address/],
    [403, { server: 'cloudflare', ...html }, /status 403, blocked by a challenge of Cloudflare/, /outbound_proxy/],
    [451, {}, /status 451, blocked by a legal or geographic restriction/, /country/],
    [403, html, /status 403, blocked by a web page/, /browser/],
    [426, { upgrade: 'h2c' }, /status 426: it refuses HTTP\/1\.1, .* wants h2c/, /reverse proxy/],
    [464, {}, /status 464: the load balancer in front of it refuses HTTP\/1\.1/, /reverse proxy/],
    [505, {}, /status 505: it refuses HTTP\/1\.1/, /reverse proxy/],
  ];
  for (const [status, headers, summary, remedy] of rows) {
    test(`${status} ${JSON.stringify(headers)}`, async () => {
      await using site = await serve((_, response) => void response.writeHead(status, headers).end());
      const { reachable, outcome, steps } = await checkOne(targetOf(site.url));
      assert.deepEqual([reachable, outcome], [false, 'failed']);
      const last = steps.at(-1);
      assert.equal(last?.step, 'http');
      assert.match(last?.summary ?? '', summary);
      assert.match(last?.remedy ?? '', remedy);
    });
  }

  test('a site’s page that forbids its list of files is no block', async () => {
    await using site = await serve((_, response) => void response.writeHead(403, html).end());
    const { reachable, outcome } = await checkOne(targetOf(site.url, { kind: 'mirror', path: '' }));
    assert.deepEqual([reachable, outcome], [true, 'ok']);
  });

  test('frames of HTTP/2', async () => {
    const settings = Buffer.from([0, 0, 18, 4, 0, 0, 0, 0, 0]);
    await using server = await startTcpTarget((socket: Socket) => socket.end(settings));
    const { reachable, steps } = await checkOne(targetOf(`http://127.0.0.1:${server.port}`));
    assert.equal(reachable, false);
    assert.match(steps.at(-1)?.summary ?? '', /speaks HTTP\/2 alone/);
    assert.match(steps.at(-1)?.remedy ?? '', /accept HTTP\/1\.1/);
  });
});

describe('a TLS handshake', () => {
  const onHello = (answer: (socket: Socket) => void) => (socket: Socket) =>
    void socket.once('data', () => answer(socket));
  const refusal = Buffer.from([21, 3, 3, 0, 2, 2, 120]);
  const rows: readonly (readonly [string, (socket: Socket) => void, RegExp, RegExp])[] = [
    [
      'that is reset is told from one that is refused',
      onHello((socket) => socket.resetAndDestroy()),
      /reset during the TLS handshake/,
      /first_fragment_len: 3.*outbound_proxy/,
    ],
    [
      'with a server that speaks HTTP/2 alone',
      onHello((socket) => socket.end(refusal)),
      /speaks HTTP\/2 alone/,
      /accept HTTP\/1\.1/,
    ],
  ];
  for (const [what, serves, summary, remedy] of rows) {
    test(what, async () => {
      await using server = await startTcpTarget(serves);
      const { reachable, steps } = await checkOne(targetOf(`https://127.0.0.1:${server.port}`));
      assert.equal(reachable, false);
      const last = steps.at(-1);
      assert.equal(last?.step, 'tls');
      assert.match(last?.summary ?? '', summary);
      assert.match(last?.remedy ?? '', remedy);
    });
  }
});

describe('a mirror route', () => {
  test('is asked for its own first page and for no login', async (t) => {
    const upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    t.after(() => upstream.stop());
    const report = await checkOne(targetOf(upstream.url, { kind: 'mirror', name: 'hub', path: '/v2/' }));
    assert.deepEqual([report.kind, report.name, report.reachable, report.outcome], ['mirror', 'hub', true, 'ok']);
    assert.deepEqual(
      report.steps.map(({ step }) => step),
      ['tcp', 'http'],
    );
    assert.equal(upstream.count({ kind: 'token' }), 0);
  });

  test('that knows nothing at its root can be reached all the same', async (t) => {
    const upstream = await startScriptedUpstream();
    t.after(() => upstream.stop());
    const report = await checkOne(targetOf(upstream.url, { kind: 'mirror', path: '' }));
    assert.deepEqual([report.reachable, report.outcome], [true, 'ok'], JSON.stringify(report.steps));
  });
});

describe('an upstream that a client named', () => {
  test('is not dialled where its address is not a public one', async (t) => {
    const upstream = await startScriptedUpstream();
    t.after(() => upstream.stop());
    const report = await checkOne(targetOf(upstream.url, { addresses: 'public' }));
    assert.equal(report.reachable, false);
    assert.match(report.steps[0]?.remedy ?? '', /allow_private/);
    assert.deepEqual(upstream.requests, []);
    const allowed = await checkOne(targetOf(upstream.url, { addresses: 'public', allowPrivate: ['127.0.0.1'] }));
    assert.equal(allowed.reachable, true);
  });
});

describe('together', () => {
  test('no more at a time than allowed, and everything is put away', async (t) => {
    const upstream = await startScriptedUpstream();
    t.after(() => upstream.stop());
    const gate = new Gate();
    upstream.fault({ kind: 'ping' }, { gate });
    let opened = 0;
    let closed = 0;
    const counted: CheckOptions['openTransport'] = (telemetry) => {
      opened += 1;
      const transport = openTransport(telemetry);
      return { ...transport, close: () => transport.close().then(() => void (closed += 1)) };
    };
    const heard: string[] = [];
    const targets = Array.from({ length: 7 }, (_, index) => targetOf(upstream.url, { name: `r${index}` }));
    const checking = checkUpstreams(targets, {
      ...options({ openTransport: counted }),
      concurrency: 3,
      onReport: ({ name }) => heard.push(name),
    });
    await gate.arrived(3);
    assert.deepEqual([opened, closed, heard.length], [3, 0, 0]);
    gate.open();
    assert.deepEqual(
      (await checking).map(({ name, reachable }) => [name, reachable]),
      targets.map(({ name }) => [name, true]),
    );
    assert.deepEqual([opened, closed, heard.length], [7, 7, 7]);
  });

  test('a caller who has had enough is heard at once', async (t) => {
    const upstream = await startScriptedUpstream();
    t.after(() => upstream.stop());
    const gate = new Gate();
    upstream.fault({ kind: 'ping' }, { gate });
    const enough = new AbortController();
    const checking = checkUpstreams([targetOf(upstream.url)], options({ signal: enough.signal }));
    await gate.arrived(1);
    enough.abort(new Error('enough'));
    await assert.rejects(checking, /enough/);
  });
});
