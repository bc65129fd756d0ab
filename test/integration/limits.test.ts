import assert from 'node:assert/strict';
import { get, type IncomingMessage } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { type Content, content, noise } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Gate } from '../support/scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Who is served, who waits and who is turned away, over real sockets, with an upstream that holds everybody.

const REPOSITORY = 'team/app';
const MiB = 1024 * 1024;

let upstream: ScriptedUpstream;
before(async () => {
  upstream = await startScriptedUpstream();
});
after(async () => {
  upstream.heal();
  await upstream.stop();
});

let made = 0;
/** A blob of which half comes, and the rest when the gate is opened. */
function heldBlob(): { readonly blob: Content; readonly path: string; readonly gate: Gate } {
  made += 1;
  const blob = content('application/octet-stream', noise(`limits ${made}`, 2 * MiB));
  upstream.addBlob(REPOSITORY, blob);
  const gate = new Gate();
  upstream.fault(blob.digest, { stallAt: MiB, stallGate: gate, times: 1 });
  return { blob, path: `/up/v2/${REPOSITORY}/blobs/${blob.digest}`, gate };
}

function start(limits: object, config: object = {}): Promise<Mirror> {
  return startMirror({ registries: { up: { upstreams: [upstream.url] } }, limits, ...config });
}

/** A download that has begun: its head is here, and it reads on. */
interface Download {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Promise<Buffer>;
  leave(): void;
}

function begin(mirror: Mirror, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Download> {
  return new Promise((resolve, reject) => {
    const request = get(mirror.url + path, { agent: false, headers }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      const body = new Promise<Buffer>((done, fail) => {
        response.once('end', () => done(Buffer.concat(pieces)));
        response.once('error', fail);
      });
      body.catch(() => undefined);
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body,
        leave: () => request.destroy(),
      });
    });
    request.once('error', reject);
  });
}

async function metric(mirror: Mirror, name: string): Promise<number> {
  const { body } = await mirror.get('/metrics');
  const line = body
    .toString()
    .split('\n')
    .find((each) => each.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

/** Looks again and again, as nothing tells when a request has begun to wait. */
async function until(mirror: Mirror, name: string, value: number): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const now = await metric(mirror, name);
    if (now === value) return;
    if (performance.now() > deadline) throw new Error(`${name} is ${now}, and not ${value}`);
  }
}

const WAITING = 'entrepot_admission_waiting';
const IN_FLIGHT = 'entrepot_admission_in_flight';

describe('limits.max_inflight', { timeout: 120_000 }, () => {
  test('the 51st is told to come back, and is served when one of the 50 has ended', async () => {
    await using mirror = await start({ max_inflight: 50, retry_after: '7s' });
    const { blob, path, gate } = heldBlob();
    const downloads = await Promise.all(Array.from({ length: 50 }, () => begin(mirror, path)));
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const refused = await mirror.get(path);
      assert.equal(refused.status, 429);
      assert.equal(refused.headers['retry-after'], '7');
      const [error] = JSON.parse(refused.body.toString()).errors;
      assert.equal(error.code, 'TOOMANYREQUESTS');
      assert.match(error.message, /50 requests/);
    }
    assert.equal(await metric(mirror, IN_FLIGHT), 50);
    assert.equal(await metric(mirror, 'entrepot_overload_rejections_total{reason="full"}'), 3);
    downloads[7]?.leave();
    await until(mirror, IN_FLIGHT, 49);
    const served = await begin(mirror, path);
    assert.equal(served.status, 200);
    gate.open();
    assert.ok((await served.body).equals(blob.bytes));
    for (const [index, { body }] of downloads.entries()) {
      if (index !== 7) assert.ok((await body).equals(blob.bytes));
    }
    await until(mirror, IN_FLIGHT, 0);
  });

  test('own pages are for everybody, and readiness says what is the matter until it is over', async () => {
    await using mirror = await start({ max_inflight: 1, overload_status: 503 });
    const { path, gate } = heldBlob();
    const download = await begin(mirror, path);
    assert.equal((await mirror.get('/readyz')).status, 200, 'to be at the limit is not to turn away');
    const refused = await Promise.all([mirror.get('/v2/'), mirror.get('/v2/'), mirror.head(path)]);
    for (const { status, headers } of refused) assert.deepEqual([status, headers['retry-after']], [503, '5']);
    const ready = await mirror.get('/readyz');
    assert.deepEqual([ready.status, ready.body.toString()], [503, 'overloaded']);
    for (const own of ['/healthz', '/health', '/help', '/metrics', '/token']) {
      assert.equal((await mirror.get(own)).status, 200, own);
    }
    gate.open();
    await download.body;
    await mirror.logged(({ msg }) => msg === 'no request is turned away any more');
    assert.equal((await mirror.get('/readyz')).status, 200);
    const told = mirror.log.filter(({ msg }) => msg.startsWith('requests are turned away'));
    assert.equal(told.length, 1, 'once for the episode, not for each request');
  });

  test('who may wait is served as places come free; who leaves while waiting takes none', async () => {
    await using mirror = await start({ max_inflight: 1, max_inflight_wait: '30s', max_waiting: 3 });
    const first = heldBlob();
    const other = heldBlob();
    const download = await begin(mirror, first.path);
    const waiting = mirror.get(other.path, { range: 'bytes=0-9' });
    await until(mirror, WAITING, 1);
    const leaving = get(`${mirror.url}${other.path}`, { agent: false });
    const left = new Promise<void>((resolve) => leaving.once('error', () => resolve()));
    await until(mirror, WAITING, 2);
    const patient = mirror.get('/v2/');
    await until(mirror, WAITING, 3);
    assert.equal((await mirror.get('/v2/')).status, 429, 'no more may wait');
    leaving.destroy();
    await left;
    await until(mirror, WAITING, 2);
    first.gate.open();
    await download.body;
    assert.equal((await waiting).body.length, 10);
    other.gate.open();
    assert.equal((await patient).status, 200);
    await until(mirror, IN_FLIGHT, 0);
    assert.equal(await metric(mirror, WAITING), 0);
  });

  test('whatever clients do, no place is lost', async () => {
    await using mirror = await start({ max_inflight: 5, max_inflight_wait: '1s', max_waiting: 10 });
    const { path, gate } = heldBlob();
    let refused = 0;
    // Half of them leave: before their answer, while they wait, in the middle of it.
    const clients = Array.from({ length: 120 }, async (_, index) => {
      const request = get(mirror.url + path, { agent: false });
      request.on('error', () => undefined);
      if (index % 2 === 0) setTimeout(() => request.destroy(), index * 10);
      await new Promise<void>((resolve) => {
        request.once('close', resolve);
        request.once('response', (response) => {
          if (response.statusCode === 429) refused += 1;
          // Not before: on a busy machine the clients come one after the other.
          if (refused === 1) setTimeout(() => gate.open(), 600);
          response.on('error', () => undefined).resume();
        });
      });
    });
    await Promise.all(clients);
    await until(mirror, IN_FLIGHT, 0);
    assert.equal(await metric(mirror, WAITING), 0);
    assert.ok(refused > 0);
    const served = await Promise.all(Array.from({ length: 5 }, () => mirror.get('/v2/')));
    assert.deepEqual(
      served.map(({ status }) => status),
      [200, 200, 200, 200, 200],
    );
  });

  test('who waited in vain is turned away', async () => {
    await using mirror = await start({ max_inflight: 1, max_inflight_wait: '50ms' });
    const { path, gate } = heldBlob();
    const download = await begin(mirror, path);
    assert.equal((await mirror.get('/v2/')).status, 429);
    assert.equal(await metric(mirror, 'entrepot_overload_rejections_total{reason="timeout"}'), 1);
    gate.open();
    await download.body;
  });

  test('what is forwarded counts too, and is refused in plain text', async () => {
    const { port } = new URL(upstream.url);
    await using mirror = await start(
      { max_inflight: 1 },
      {
        forward_proxy: {
          enabled: true,
          allowed_hosts: ['127.0.0.1'],
          ports: [Number(port)],
          allow_private: ['127.0.0.1'],
        },
      },
    );
    const { path, gate } = heldBlob();
    const download = await begin(mirror, path);
    const refused = await mirror.get(`${upstream.url}/somewhere`);
    assert.deepEqual(
      [refused.status, refused.headers['retry-after'], refused.headers['content-type']],
      [429, '5', 'text/plain; charset=utf-8'],
    );
    gate.open();
    await download.body;
    await until(mirror, IN_FLIGHT, 0);
    assert.equal((await mirror.get(`${upstream.url}/somewhere`)).status, 404);
  });
});

describe('limits that are reloaded', { timeout: 60_000 }, () => {
  test('hold for all who come from then on, and let those in who wait', async () => {
    const registries = { up: { upstreams: [upstream.url] } };
    await using mirror = await startMirror({ registries, limits: { max_inflight: 1, max_inflight_wait: '30s' } });
    const { blob, path, gate } = heldBlob();
    const download = await begin(mirror, path);
    const waiting = mirror.get('/v2/');
    await until(mirror, WAITING, 1);
    const answer = await mirror.reload({ registries, limits: { max_inflight: 2, overload_status: 503 } });
    assert.deepEqual(answer.restart, []);
    assert.equal((await waiting).status, 200);
    const second = await begin(mirror, path);
    assert.equal((await mirror.get('/v2/')).status, 503);
    gate.open();
    for (const { body } of [download, second]) assert.ok((await body).equals(blob.bytes));
  });
});

describe('limits.per_client', { timeout: 60_000 }, () => {
  const from = (address: string) => ({ 'x-forwarded-for': address });

  test('one client cannot take what others need', async () => {
    await using mirror = await start({ per_client: { max_inflight: 1 } }, { trusted_proxies: ['127.0.0.1'] });
    const { path, gate } = heldBlob();
    const download = await begin(mirror, path, from('2001:db8::1'));
    const same = await mirror.get('/v2/', from('2001:db8::ffff'));
    assert.deepEqual([same.status, same.headers['retry-after']], [429, '5']);
    assert.equal((await mirror.get('/v2/', from('2001:db8:0:1::1'))).status, 200);
    assert.equal((await mirror.get('/v2/', from('192.0.2.1'))).status, 200);
    assert.equal((await mirror.get('/readyz')).status, 200, 'the server has room');
    gate.open();
    await download.body;
  });

  test('without trust, no header makes a client another one', async () => {
    await using mirror = await start({ per_client: { max_inflight: 1 } });
    const { path, gate } = heldBlob();
    const download = await begin(mirror, path, from('192.0.2.1'));
    assert.equal((await mirror.get('/v2/', from('192.0.2.2'))).status, 429);
    gate.open();
    await download.body;
  });

  test('bytes per second: what is beyond the first second takes its time, and comes whole', async () => {
    await using mirror = await start({ per_client: { max_bandwidth: '1MiB' } });
    const blob = content('application/octet-stream', noise('bandwidth', 2.5 * MiB));
    upstream.addBlob(REPOSITORY, blob);
    const path = `/up/v2/${REPOSITORY}/blobs/${blob.digest}`;
    const began = performance.now();
    const bodies = await Promise.all([mirror.get(path), mirror.get(path)]);
    for (const { body } of bodies) assert.ok(body.equals(blob.bytes));
    // 5 MiB at 1 MiB a second, the first at once; the last piece of each is paid for by the next request.
    assert.ok(performance.now() - began > 2000, `${performance.now() - began} ms`);
    const left = await begin(mirror, path);
    left.leave();
    await until(mirror, IN_FLIGHT, 0);
  });

  test('requests per second, after a burst', async () => {
    await using mirror = await start({ per_client: { requests_per_second: 0.001, burst: 3 } });
    const statuses: number[] = [];
    for (let request = 0; request < 5; request += 1) statuses.push((await mirror.get('/v2/')).status);
    assert.deepEqual(statuses, [200, 200, 200, 429, 429]);
    const { 'retry-after': pause = '' } = (await mirror.get('/v2/')).headers;
    assert.ok(Number(pause) > 900, pause);
    assert.equal((await mirror.get('/healthz')).status, 200);
  });
});
