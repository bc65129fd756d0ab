import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { ENTREPOT, type LogLine, type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { buildImage, type Content, content, noise, platformOf } from '../support/image.ts';
import { freePort, type RunResult, run, Workspace } from '../support/processes.ts';
import { eventually } from '../support/pull-stage.ts';
import { rawRequest, sendBytes } from '../support/raw-request.ts';
import { Gate } from '../support/scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// The program as a supervisor and a user have it: signals, exit codes, what it says and what it never says.

const REPOSITORY = 'team/app';
const PASSWORD = 'canary-password-of-the-upstream';
const image = buildImage({ seed: 'process', layers: [200_000] });
const layer = platformOf(image, 'amd64').layers[0] as Content;

let workspace: Workspace;
let upstream: ScriptedUpstream;
before(async () => {
  workspace = await Workspace.open();
  const credentials = { username: 'robot', password: PASSWORD };
  upstream = await startScriptedUpstream({ personality: 'dockerHub', credentials });
  workspace.defer(() => upstream.stop());
  upstream.add(image, REPOSITORY, ['latest']);
});
after(() => workspace.close());

function start(config: Readonly<Record<string, unknown>> = {}, env: NodeJS.ProcessEnv = {}): Promise<RunningEntrepot> {
  const credentials = { username: 'robot', password: PASSWORD };
  const registries = { up: { upstreams: [{ url: upstream.url, credentials }] } };
  return startEntrepot(workspace, { registries, ...config }, { env: { ...process.env, ...env } });
}

/** Runs the command to its end. */
function entrepot(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<RunResult> {
  const whole = { ...process.env, HOME: workspace.dir, NODE_NO_WARNINGS: '1', ...env };
  return run(['sh', ENTREPOT, ...args], { timeout: 20_000, env: whole });
}

function blobPath({ digest }: Content): string {
  return `/up/v2/${REPOSITORY}/blobs/${digest}`;
}

let made = 0;
/** A pull that has begun and waits in the middle until the gate is opened. */
async function beginPull(running: RunningEntrepot): Promise<{ gate: Gate; blob: Content; body: Promise<Body> }> {
  made += 1;
  const blob = content('application/octet-stream', noise(`pull ${made}`, 2_000_000));
  upstream.addBlob(REPOSITORY, blob);
  const gate = new Gate();
  upstream.fault(blob.digest, { stallAt: 1_000_000, stallGate: gate, times: 1 });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(running.url + blobPath(blob), { agent: false }, resolve).on('error', reject);
  });
  return { gate, blob, body: readBody(response) };
}

interface Body {
  readonly bytes: Buffer;
  readonly whole: boolean;
}

function readBody(response: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', () => undefined);
    response.on('close', () => resolve({ bytes: Buffer.concat(chunks), whole: response.complete }));
  });
}

function logged(running: RunningEntrepot, fits: (line: LogLine) => boolean): Promise<void> {
  return eventually(() => assert.ok(running.logs().some(fits), running.process.output().slice(-2000)));
}

const isStopping = (line: LogLine): boolean => line.msg.startsWith('stopping');

/**
 * New connections are refused. The line in the log comes before the listener is closed: a connection that the kernel has
 * accepted in between is still answered, or reset with the listener.
 */
async function assertRefuses(host: string): Promise<void> {
  const seen: unknown[] = [];
  while (seen.at(-1) !== 'ECONNREFUSED') {
    assert.ok(seen.length < 50, seen.join(' '));
    const { status } = await rawRequest(host, { path: '/v2/' }).catch((error: NodeJS.ErrnoException) => {
      assert.match(error.code ?? '', /^ECONN(?:REFUSED|RESET)$/);
      return { status: error.code };
    });
    seen.push(status);
  }
}

describe('signals', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal}: the running pull finishes, a new connection is refused, an idle one is closed, exit 0`, async () => {
      const running = await start();
      const { gate, blob, body } = await beginPull(running);
      const idle = sendBytes(running.host, `GET /healthz HTTP/1.1\r\nHost: ${running.host}\r\n\r\n`);
      await logged(running, ({ msg, path }) => msg === 'request' && path === '/healthz');
      running.process.kill(signal);
      await logged(running, isStopping);
      await assertRefuses(running.host);
      assert.match((await idle).toString(), /^HTTP\/1\.1 200 /);
      gate.open();
      const { bytes, whole } = await body;
      assert.ok(whole && bytes.equals(blob.bytes));
      assert.equal(await running.process.exited, 0);
      assert.ok(running.logs().some(({ msg }) => msg === 'stopped'));
    });
  }

  test('a second SIGTERM cuts what runs', async () => {
    const running = await start();
    const { body } = await beginPull(running);
    running.process.kill('SIGTERM');
    await logged(running, isStopping);
    running.process.kill('SIGTERM');
    assert.equal((await body).whole, false);
    assert.equal(await running.process.exited, 0);
    assert.ok(running.logs().some(({ msg, count }) => msg === 'pulls were cut' && count === 1));
  });

  test('shutdown_timeout cuts what takes longer', async () => {
    const running = await start({ timeouts: { shutdown_timeout: '200ms' } });
    const { body } = await beginPull(running);
    running.process.kill('SIGTERM');
    assert.equal((await body).whole, false);
    assert.equal(await running.process.exited, 0);
  });
});

describe('what keeps it from starting', () => {
  test('a second server on the directory is refused, and told the pid of the first', async () => {
    const first = await start();
    const second = await entrepot(['serve', '--listen', '127.0.0.1:0', '--cache-dir', first.dir]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, new RegExp(`\\b${first.process.pid}\\b`));
    assert.equal((await rawRequest(first.host, { path: '/readyz' })).status, 200, 'the first goes on');
    await first.stop();
  });

  test('an address in use is named', async () => {
    const first = await start();
    const second = await entrepot(['serve', '--listen', first.host, '--cache-dir', workspace.path('elsewhere')]);
    assert.equal(second.code, 1);
    assert.ok(second.stderr.includes(first.host), second.stderr);
    assert.match(second.stderr, /another program listens there/);
    assert.doesNotMatch(second.stderr, /\n\s+at /, 'no stack');
    await first.stop();
  });

  test('a configuration with problems is 78, with every problem and its place', async () => {
    const file = await workspace.file(
      'wrong.yaml',
      'listen: nowhere\ncashe: {}\ncache: {max_size: lots}\nregistries:\n  apps:\n    upstreams: [ftp://example.com]\n',
    );
    const { code, stderr } = await entrepot(['serve', '--config', file]);
    assert.equal(code, 78);
    for (const [line, what] of [
      [1, 'listen'],
      [2, 'cashe'],
      [3, 'cache.max_size'],
      [6, 'registries.apps.upstreams'],
    ] as const) {
      assert.match(stderr, new RegExp(`wrong\\.yaml:${line}\\b[^\\n]*${what.replaceAll('.', '\\.')}`), stderr);
    }
    assert.match(stderr, /4 problems|four problems/);
  });

  test('what only shows between registries is 78 as well', async () => {
    const file = await workspace.file(
      'claims.yaml',
      'registries:\n  a: {aliases: [x], upstreams: [http://a.example.com]}\n  b: {aliases: [x], upstreams: [http://b.example.com]}\n',
    );
    const { code, stderr } = await entrepot(['serve', '--config', file, '--cache-dir', workspace.path('claims')]);
    assert.equal(code, 78, stderr);
    assert.match(stderr, /\bx\b/);
  });

  test('and so is an authority for an upstream that is none, before a client asks for it', async () => {
    const pem = await workspace.file('none.pem', 'no certificate');
    const file = await workspace.file(
      'trust.yaml',
      `registries:\n  a:\n    upstreams: [{url: 'https://a.example.com', tls: {ca_file: ${pem}}}]\n`,
    );
    const { code, stderr } = await entrepot(['serve', '--config', file, '--cache-dir', workspace.path('trust')]);
    assert.equal(code, 78, stderr);
    assert.match(
      stderr,
      /trust\.yaml:3:\d+ {2}registries\.a\.upstreams\[0\]\.tls\.ca_file: .*no certificate of an authority/,
    );
  });

  test('a command that does not exist is 2', async () => {
    assert.equal((await entrepot(['sreve'])).code, 2);
  });
});

describe('entrepot status', () => {
  test('shows a transfer that runs, how far it is and who follows', async () => {
    const running = await start();
    const { gate, blob, body } = await beginPull(running);
    const table = await entrepot(['status', '--cache-dir', running.dir]);
    assert.equal(table.code, 0);
    assert.match(table.stdout, new RegExp(`pid ${running.process.pid}\\b`));
    assert.match(table.stdout, /1 transfer under way/);
    const row = `up/${REPOSITORY} +${blob.digest.slice(0, 19)} +\\[#*-+\\] +\\d+% of 1\\.9 MiB`;
    assert.match(table.stdout, new RegExp(row));
    const { stdout } = await entrepot(['status', '--cache-dir', running.dir, '--json']);
    const { transfers, version, listeners } = JSON.parse(stdout) as Record<string, unknown[]>;
    assert.ok(version !== undefined && listeners?.[0] === running.url);
    const [transfer] = transfers as Record<string, unknown>[];
    assert.deepEqual([transfer?.['digest'], transfer?.['size'], transfer?.['followers']], [blob.digest, 2_000_000, 1]);
    assert.ok(Number(transfer?.['bytes']) > 0 && Number(transfer?.['bytes']) <= 1_000_000);
    gate.open();
    assert.ok((await body).whole);
    await logged(running, ({ msg, digest }) => msg === 'ingest.finished' && digest === blob.digest);
    assert.match((await entrepot(['status', '--cache-dir', running.dir])).stdout, /No transfers under way/);
    await running.stop();
    const gone = await entrepot(['status', '--cache-dir', running.dir]);
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /No server runs/);
  });
});

describe('the environment', () => {
  test('PORT is the port where nothing else says one', async () => {
    const port = await freePort();
    const env = { ...process.env, PORT: String(port), HOME: workspace.dir };
    const running = await workspace.start(['sh', ENTREPOT, 'serve', '--cache-dir', workspace.path('port')], {
      env,
      ready: async () => (await rawRequest(`127.0.0.1:${port}`, { path: '/readyz' })).status === 200,
    });
    assert.equal(await running.stop(), 0);
  });

  test('PORT gives way to listen', async () => {
    const running = await start({}, { PORT: '1' });
    assert.notEqual(running.port, 1);
    await running.stop();
  });

  test('DEBUG=1 shows upstream requests, redirects and what the cache decided; without it there is none', async () => {
    const kinds: string[][] = [];
    for (const env of [{ DEBUG: '1' }, {}]) {
      const running = await start({ log: { format: 'json' } }, env);
      await rawRequest(running.host, { path: `/up/v2/${REPOSITORY}/manifests/latest` });
      await rawRequest(running.host, { path: blobPath(layer) });
      await eventually(() => assert.equal(running.accessLog().length, 2));
      await running.stop();
      kinds.push(running.logs().map(({ msg, purpose }) => (typeof purpose === 'string' ? `${msg} ${purpose}` : msg)));
    }
    for (const kind of ['upstream.request redirect', 'upstream.request token', 'cache.decision', 'ingest.started']) {
      assert.ok(kinds[0]?.includes(kind), `${kind} is not among ${kinds[0]?.join(', ')}`);
      assert.ok(!kinds[1]?.includes(kind), kind);
    }
    assert.ok(kinds[1]?.includes('request'));
  });

  test('an access line says who asked for what, and where it came from', async () => {
    const running = await start({ log: { format: 'json' } });
    const answer = await rawRequest(running.host, { path: blobPath(layer) });
    await eventually(() => assert.equal(running.accessLog().length, 1));
    const [line] = running.accessLog();
    const { method, path, status, bytes, registry, repository, upstream: by, cache } = line ?? assert.fail();
    assert.deepEqual(
      { method, path, status, bytes, registry, repository, by, cache, id: line?.['id'] },
      {
        method: 'GET',
        path: blobPath(layer),
        status: 200,
        bytes: layer.size,
        registry: 'up',
        repository: REPOSITORY,
        by: upstream.host,
        cache: 'MISS',
        id: answer.headers['x-request-id'],
      },
    );
    assert.equal(typeof line?.['duration'], 'number');
    assert.ok(!Number.isNaN(Date.parse(String(line?.['ts']))));
    await running.stop();
  });
});

test('no credential is in anything it says: ours, a client’s, a token, a signature', async () => {
  const headers = {
    authorization: `Basic ${Buffer.from('carol:canary-password-of-the-client').toString('base64')}`,
    'proxy-authorization': 'Bearer canary-bearer-of-the-client',
    cookie: 'session=canary-cookie-of-the-client',
  };
  const running = await start();
  const ask = (path: string) => rawRequest(running.host, { path, headers });
  const answers = [
    await ask(`/up/v2/${REPOSITORY}/manifests/latest?token=canary-query-of-the-client`),
    await ask(blobPath(layer)),
  ];
  // Every way an upstream can fail, each of which is told of.
  const location = 'ftp://robot:canary-in-a-redirect@127.0.0.1/blob?X-Amz-Signature=canary-signature';
  const faults = [{ status: 403 }, { status: 500 }, { reset: true }, { status: 302, headers: { location } }];
  for (const [i, fault] of faults.entries()) {
    const blob = content('application/octet-stream', noise(`failing ${i}`, 1000));
    upstream.addBlob(REPOSITORY, blob);
    const heal = upstream.fault({ at: 'cdn' }, fault);
    const answer = await ask(blobPath(blob));
    heal();
    assert.ok(answer.status >= 500, `${answer.status}`);
    answers.push(answer);
  }
  const healToken = upstream.fault({ at: 'token' }, { status: 500, body: `{"echo": "${PASSWORD}"}` });
  upstream.revokeTokens();
  answers.push(await ask(`/up/v2/${REPOSITORY}/tags/list`));
  healToken();
  upstream.expireSignatures();
  await eventually(() => assert.equal(running.accessLog().length, answers.length));
  const { stdout, stderr } = await entrepot(['status', '--cache-dir', running.dir, '--json']);
  const help = await rawRequest(running.host, { path: '/help' });
  const metrics = await rawRequest(running.host, { path: '/metrics' });
  await running.stop();

  const shown = answers.map(({ headers: sent, body }) => JSON.stringify(sent) + body.toString('latin1'));
  const said = [running.process.output(), stdout, stderr, help.body, metrics.body, ...shown].join('\n');
  const [basic = ''] = headers.authorization.split(' ').slice(1);
  const own = [PASSWORD, encodeURIComponent(PASSWORD), Buffer.from(`robot:${PASSWORD}`).toString('base64')];
  // What all canaries begin with, and the name of the parameter that signs a URL.
  const secrets = [...own, basic, 'canary-', 'X-Amz-Signature'];
  for (const secret of secrets) assert.ok(!said.includes(secret), `${secret} was said`);
  assert.deepEqual(upstream.leaks(), []);
});

test('nothing a client does ends it, or is an unexpected error', async () => {
  const running = await start();
  const crude = [
    'GET\r\n\r\n',
    '\u0000\u0001\u0002',
    '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
    `GET /v2/ HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`,
    `GET /v2/ HTTP/1.1\r\n${'A: b\r\n'.repeat(200)}\r\n`,
    'GET /v2/ HTTP/9.9\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: [::\r\nConnection: close\r\n\r\n',
    'GET /v2/?ns=%ff%fe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'GET /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
    'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  ];
  for (const bytes of crude) {
    const answer = (await sendBytes(running.host, bytes)).toString('latin1');
    assert.match(answer, /^HTTP\/1\.1 [1-5]\d\d /, JSON.stringify(bytes.slice(0, 60)));
  }
  // Those who leave at once, in the middle of a head, and in the middle of a body.
  await Promise.all(
    ['', 'GET /v2/ HT', `GET ${blobPath(layer)} HTTP/1.1\r\nHost: x\r\n\r\n`].flatMap((bytes) =>
      Array.from({ length: 20 }, () => leave(running.port, bytes)),
    ),
  );
  assert.equal((await rawRequest(running.host, { path: blobPath(layer) })).status, 200);
  assert.equal(await running.stop(), 0);
  const errors = running.logs().filter(({ level }) => level === 'error');
  assert.deepEqual(errors, []);
  assert.doesNotMatch(running.process.output(), /Uncaught|Unhandled|unexpected error|\n\s+at /);

  function leave(port: number, bytes: string): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect({ host: '127.0.0.1', port }, () => {
        socket.write(bytes);
        setImmediate(() => socket.resetAndDestroy());
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
    });
  }
});

describe('its own pages', () => {
  let running: RunningEntrepot;
  before(async () => {
    running = await start({ domain_suffix: 'mirror.example.com' });
  });
  after(() => running.stop());

  test('/metrics has the series that were promised, with what happened', async () => {
    await rawRequest(running.host, { path: `/up/v2/${REPOSITORY}/manifests/latest` });
    for (let turn = 0; turn < 2; turn += 1) {
      await rawRequest(running.host, { path: blobPath(layer) });
      // Until it is committed, each request joins.
      await logged(running, ({ msg, outcome }) => msg === 'ingest.finished' && outcome === 'committed');
    }
    await eventually(() => assert.equal(running.accessLog().length, 3));
    const { headers, body } = await rawRequest(running.host, { path: '/metrics' });
    assert.match(headers['content-type'] ?? '', /^text\/plain/);
    const text = body.toString();
    const values = Object.fromEntries(
      text.split('\n').flatMap((line) => {
        const match = /^([^#]\S*) (\S+)$/.exec(line);
        return match === null ? [] : [[match[1], Number(match[2])]];
      }),
    ) as Record<string, number>;
    const sum = (name: string, ...labels: string[]): number =>
      Object.entries(values)
        .filter(([key]) => key.startsWith(`${name}{`) && labels.every((label) => key.includes(label)))
        .reduce((total, [, value]) => total + value, 0);
    assert.equal(sum('entrepot_http_requests_total', 'route="registry"', 'status="200"', 'registry="up"'), 3);
    assert.equal(sum('entrepot_cache_requests_total', 'outcome="MISS"'), 2);
    assert.equal(sum('entrepot_cache_requests_total', 'outcome="HIT"'), 1);
    assert.equal(sum('entrepot_served_bytes_total', 'source="cache"'), layer.size);
    assert.equal(sum('entrepot_served_bytes_total', 'source="upstream"'), layer.size + image.index.size);
    assert.equal(sum('entrepot_ingests_total', 'outcome="committed"'), 1);
    assert.equal(sum('entrepot_ingest_bytes_total'), layer.size);
    assert.ok(sum('entrepot_upstream_requests_total', 'status="200"') >= 2);
    assert.ok(sum('entrepot_http_request_duration_seconds_count', 'route="registry"') === 3);
    assert.equal(values['entrepot_cache_blobs'], 2);
    assert.equal(values['entrepot_cache_bytes'], layer.size + image.index.size);
    for (const name of [
      'http_requests_in_flight',
      'http_connections',
      'ingests_active',
      'process_resident_memory_bytes',
    ]) {
      assert.ok(values[`entrepot_${name}`] !== undefined, `entrepot_${name}`);
    }
    assert.match(text, /^entrepot_build_info\{.*version=.*\} 1$/m);
    assert.doesNotMatch(text, /team\/app|sha256:/, 'nothing a client chooses is a label');
  });

  test('/help is a page for people and JSON for programs', async () => {
    const page = await rawRequest(running.host, {
      path: '/help',
      headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' },
    });
    assert.match(page.headers['content-type'] ?? '', /^text\/html/);
    assert.match(page.body.toString(), /ghcr\.io/);
    for (const path of ['/help', '/']) {
      for (const accept of ['*/*', 'application/json']) {
        const { headers, body } = await rawRequest(running.host, { path, headers: { accept } });
        assert.equal(headers['content-type'], 'application/json');
        const { name, registries, domain_suffix: suffix } = JSON.parse(body.toString()) as Record<string, object>;
        assert.deepEqual([name, suffix], ['entrepot', 'mirror.example.com']);
        assert.ok(registries !== undefined && 'up' in registries && 'docker.io' in registries);
      }
    }
  });

  test('a host name that is none is not repeated in the page', async () => {
    const host = '"><script>alert(1)</script>';
    const page = await rawRequest(running.host, { path: '/help', headers: { host, accept: 'text/html' } });
    assert.ok(!page.body.toString().includes('alert(1)'));
  });

  test('/healthz, /readyz, /health and the token that is not needed', async () => {
    const ask = async (path: string, accept = '*/*') =>
      (await rawRequest(running.host, { path, headers: { accept } })).body.toString();
    assert.equal(await ask('/healthz'), 'ok');
    assert.equal(await ask('/healthz', 'application/json'), '{"status":"ok"}');
    assert.equal(await ask('/readyz'), 'ok');
    assert.equal(await ask('/health'), '{"status":"healthy"}');
    assert.match(await ask('/token?service=x&scope=repository:a:pull'), /"token":"anonymous"/);
  });
});
