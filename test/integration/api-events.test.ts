import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { OPERATIONS } from '../../src/admin/index.ts';
import { ask, beginSession, operate, operatorSession, problemIn } from '../support/api-stage.ts';
import { type FollowedEvents, followEvents } from '../support/event-stream.ts';
import { buildImage } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { rawRequest } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// The stream of events over real sockets: what comes, to whom, and when it ends.

const image = buildImage({ seed: 'events' });
const PASSWORD = 'correct horse';

let dir: string;
let upstream: ScriptedUpstream;
let mirror: Mirror;
let config: Record<string, unknown>;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'entrepot-events-'));
  const htpasswd = join(dir, 'htpasswd');
  await writeFile(htpasswd, htpasswdOf('alice', 'bob'));
  upstream = await startScriptedUpstream();
  for (const name of ['public/app', 'private/app']) upstream.add(image, name, ['latest']);
  config = {
    default_registry: 'plain',
    registries: { plain: { upstreams: [upstream.url] } },
    access: {
      htpasswd,
      rules: [
        { who: ['alice', 'bob', 'carol'], may: ['status'] },
        { who: ['alice', 'bob'], may: ['pull'], on: ['plain/public/**'] },
        { who: 'alice', may: ['pull'], on: ['plain/private/**'] },
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

/** A stream that the test leaves open at its end. */
async function follow(
  t: TestContext,
  headers: Readonly<Record<string, string>>,
  { query = '', of = mirror }: { readonly query?: string; readonly of?: Mirror } = {},
): Promise<FollowedEvents> {
  const stream = await followEvents(of.url, { query, headers });
  t.after(() => stream.close());
  return stream;
}

const numberOf = (id: string | undefined): number => Number(id?.split('-')[1]);

const isEvent = (event: string) => (message: { readonly event: string }) => message.event === event;

describe('a stream', () => {
  test('is one of server-sent events, that no server in front holds back', async (t) => {
    const { response } = await follow(t, basic('alice'));
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(response.headers['x-accel-buffering'], 'no');
    assert.equal(response.headers['cache-control'], 'no-store');
    assert.equal(response.headers['x-content-type-options'], 'nosniff');
  });

  test('that is asked for by HEAD is not begun', async () => {
    const { status, headers } = await rawRequest(mirror.host, {
      method: 'HEAD',
      path: '/api/v1/events',
      headers: basic('alice'),
    });
    assert.deepEqual([status, headers['content-type']], [200, 'text/event-stream; charset=utf-8']);
  });

  test('tells of a transfer to those alone who may pull the repository', async (t) => {
    const [alice, bob] = [await follow(t, basic('alice')), await follow(t, basic('bob'))];
    for (const name of ['private/app', 'public/app']) {
      const path = `/v2/${name}/manifests/latest`;
      assert.equal((await mirror.get(path, basic('alice'))).status, 200);
      for (const layer of image.blobs) {
        assert.equal((await mirror.get(`/v2/${name}/blobs/${layer.digest}`, basic('alice'))).status, 200);
        // The client has its last byte before the blob is stored.
        await mirror.logged(isIngestEnd(layer.digest, 'committed'));
      }
      await operate(mirror, OPERATIONS.rollback, { image: `plain/${name}:latest@${image.index.digest}` });
      await operate(mirror, OPERATIONS.unhold, { image: `plain/${name}:latest` });
    }
    const isLast = ({ event, data }: { readonly event: string; readonly data: unknown }): boolean =>
      event === 'tag' &&
      (data as { change: string; repository: string }).change === 'unheld' &&
      JSON.stringify(data).includes('public/app');
    await alice.next(isLast);
    await bob.next(isLast);
    const told = JSON.stringify(alice.messages);
    assert.ok(told.includes('private/app') && told.includes('transfer.ended'));
    assert.doesNotMatch(JSON.stringify(bob.messages), /private/);
  });

  test('has the kinds that were asked for', async (t) => {
    const { changing } = await operatorSession(mirror);
    const stream = await follow(t, changing, { query: '?kinds=evicted,reloaded' });
    await operate(mirror, OPERATIONS.gc, { maxSize: 0 });
    await mirror.reload(config);
    await stream.next(isEvent('reloaded'));
    assert.deepEqual([...new Set(stream.messages.map(({ event }) => event))], ['evicted', 'reloaded']);
    problemIn(await ask(mirror, 'GET', '/api/v1/events?kinds=pull,nothing', { headers: changing }), 400);
    problemIn(await ask(mirror, 'GET', '/api/v1/events?kind=pull', { headers: changing }), 400);
    problemIn(await ask(mirror, 'POST', '/api/v1/events', { headers: changing, body: {} }), 405);
  });

  test('shows the problems of a configuration to those alone who administer', async (t) => {
    const { reading } = await operatorSession(mirror);
    const [operator, bob] = [await follow(t, reading), await follow(t, basic('bob'))];
    await mirror.reload({ ...config, secret_option: 'x' });
    const { data } = await operator.next(isEvent('reloaded'));
    assert.match(JSON.stringify(data), /secret_option/);
    assert.deepEqual((await bob.next(isEvent('reloaded'))).data, { outcome: 'refused', problems: [] });
  });

  test('goes on where it broke off, and tells what is gone', async (t) => {
    const { reading } = await operatorSession(mirror);
    const first = await follow(t, reading);
    await mirror.reload(config);
    const { id = '' } = await first.next(isEvent('reloaded'));
    first.close();
    await mirror.logged(
      ({ msg, route, id: own }) =>
        msg === 'request' && route === 'events' && own === first.response.headers['x-request-id'],
    );
    await mirror.reload(config);
    await operate(mirror, OPERATIONS.gc, { maxSize: 0 });
    await mirror.reload(config);
    const again = await follow(t, { ...reading, 'last-event-id': id });
    const last = await again.next(
      ({ event, id: each }) =>
        event === 'reloaded' && each !== undefined && Number(each.split('-')[1]) >= Number(id.split('-')[1]) + 2,
    );
    assert.deepEqual(again.messages.filter(isEvent('gap')), []);
    assert.ok(again.messages.filter(isEvent('reloaded')).length >= 2);
    assert.ok(numberOf(again.lastId) >= numberOf(last.id));
    for (const unknown of [
      'x',
      '',
      `${id}0`,
      id.replace(/^./, 'z'),
      `${id}-1`,
      id.replace(/-.*/, '--1'),
      '-1',
      'x'.repeat(5000),
    ]) {
      const stream = await follow(t, { ...reading, 'last-event-id': unknown });
      await stream.next(isEvent('gap'));
      stream.close();
      await stream.ended;
    }
  });
});

describe('a stream ends', () => {
  test('at a reload that changes the configuration: its client passes the gate again', async (t) => {
    const stream = await follow(t, basic('bob'));
    const rules = (config['access'] as { rules: readonly object[] }).rules.slice(1);
    await mirror.reload({ ...config, access: { ...(config['access'] as object), rules } });
    await stream.ended;
    assert.equal(stream.messages.at(-1)?.event, 'reloaded');
    problemIn(await ask(mirror, 'GET', '/api/v1/events', { headers: basic('bob') }), 403);
    await mirror.reload(config);
  });

  test('with its session', async (t) => {
    const { reading, changing } = await operatorSession(mirror);
    const stream = await follow(t, reading);
    assert.equal((await ask(mirror, 'DELETE', '/api/v1/session', { headers: changing })).status, 200);
    await stream.ended;
  });

  const ends: Readonly<Record<string, () => Promise<unknown>>> = {
    'is disabled': () => operate(mirror, OPERATIONS.userDisable, { name: 'carol' }),
    'is removed': () => operate(mirror, OPERATIONS.userRemove, { name: 'carol' }),
    'has another password': () => operate(mirror, OPERATIONS.userPasswd, { name: 'carol', password: 'another horse' }),
  };
  for (const [name, end] of Object.entries(ends)) {
    test(`when its user ${name}, with a session and without`, async (t) => {
      await operate(mirror, OPERATIONS.userRemove, { name: 'carol' }).catch(() => undefined);
      await operate(mirror, OPERATIONS.userAdd, { name: 'carol', password: PASSWORD });
      const { reading } = await beginSession(mirror, { user: 'carol', password: PASSWORD });
      const streams = [await follow(t, reading), await follow(t, basic('carol', PASSWORD))];
      await end();
      await Promise.all(streams.map(({ ended }) => ended));
    });
  }

  test('at once when the server stops', async (t) => {
    const other = await startMirror({ timeouts: { shutdown_timeout: '60s' } });
    const stream = await follow(t, {}, { of: other });
    const stopping = other.app.stop();
    await stream.ended;
    assert.deepEqual(await stopping, { cut: 0 });
    await other.stop();
  });

  test('where its client reads too slowly, and the server keeps nothing for it', async (t) => {
    const { reading } = await operatorSession(mirror);
    const port = Number(mirror.host.split(':')[1]);
    const socket = connect({ host: '127.0.0.1', port });
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.write(`GET /api/v1/events HTTP/1.1\r\nHost: ${mirror.host}\r\nCookie: ${reading['cookie']}\r\n\r\n`);
    await once(socket, 'readable');
    const id = /x-request-id: (\S+)/.exec(String(socket.read()))?.[1];
    socket.pause();
    const isCut = () => mirror.log.find(({ msg, id: each }) => msg === 'request' && each === id);
    // Each reload is refused with some 100 kB of problems; the kernel takes the first few megabytes.
    const wrong = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`unknown_option_${at}`, at]));
    for (let count = 0; count < 300 && isCut() === undefined; count += 1) await mirror.reload({ ...config, ...wrong });
    assert.equal(isCut()?.['route'], 'events');
    await mirror.reload(config);
  });
});

test('streams are counted, for each client and in all', async (t) => {
  const sessions = await Promise.all(Array.from({ length: 13 }, () => operatorSession(mirror)));
  const [first] = sessions;
  assert.ok(first !== undefined);
  for (let count = 0; count < 8; count += 1) await follow(t, first.reading);
  const refused = await ask(mirror, 'GET', '/api/v1/events', { headers: first.reading });
  problemIn(refused, 429);
  assert.ok(Number(refused.headers['retry-after']) >= 1);
  for (const { reading } of sessions.slice(1, 12)) for (let count = 0; count < 8; count += 1) await follow(t, reading);
  for (let count = 0; count < 4; count += 1) await follow(t, sessions[12]?.reading ?? {});
  const full = await ask(mirror, 'GET', '/api/v1/events', { headers: sessions[12]?.reading ?? {} });
  problemIn(full, 503);
  assert.ok(Number(full.headers['retry-after']) >= 1);
  const { body } = await mirror.get('/metrics', basic('alice'));
  assert.match(body.toString(), /duration_seconds_count\{[^}]*route="api"/);
  assert.doesNotMatch(body.toString(), /duration_seconds_count\{[^}]*route="events"/);
});
