import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type OnReadOpts, type Server, type Socket } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Relay, type RelayEnd } from './relay.ts';

/**
 * A client and a server with a relay between them, all on real sockets.
 *
 * client ─▶ (accepted ─ Relay ─ dialled) ─▶ server
 */
interface Stage {
  readonly client: Socket;
  readonly server: Socket;
  readonly relay: Relay;
  readonly over: Promise<RelayEnd>;
  /** The ends of the relay itself. */
  readonly inner: { readonly client: Socket; readonly server: Socket };
  /** Resolves when the relay first tells the server's socket to stop. */
  readonly stopped: Promise<void>;
}

/** The time of a test: bytes take their own, and the clock and the timers of the relay stand still until it passes. */
interface TestTime {
  pass(milliseconds: number): void;
}

function mockTime(t: TestContext): TestTime {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  return {
    pass(milliseconds) {
      now += milliseconds;
      t.mock.timers.tick(milliseconds);
    },
  };
}

/** Lets sockets do their work until it holds. The limit of the test ends what never does. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

describe('Relay', () => {
  let front: Server;
  let back: Server;
  before(async () => {
    front = createServer({ allowHalfOpen: true });
    back = createServer({ allowHalfOpen: true });
    for (const each of [front, back]) await once(each.listen(0, '127.0.0.1'), 'listening');
  });
  after(() => {
    front.close();
    back.close();
  });

  async function setStage({ first = Buffer.alloc(0), idleTimeout = 30_000, speakFirst = '' } = {}): Promise<Stage> {
    const accepted = once(front, 'connection') as Promise<[Socket]>;
    const client = connect({ port: portOf(front), host: '127.0.0.1', allowHalfOpen: true });
    const [inner] = await accepted;
    const reached = once(back, 'connection') as Promise<[Socket]>;
    const relay = new Relay({ idleTimeout });
    const stopped = Promise.withResolvers<void>();
    const onread: OnReadOpts = {
      buffer: relay.onread.buffer,
      callback(count, buffer) {
        const goesOn = relay.onread.callback(count, buffer);
        if (!goesOn) stopped.resolve();
        return goesOn;
      },
    };
    const dialled = connect({ port: portOf(back), host: '127.0.0.1', onread });
    const [server] = await reached;
    if (dialled.connecting) await once(dialled, 'connect');
    if (speakFirst !== '') {
      server.write(speakFirst);
      await until(() => relay.received >= speakFirst.length);
    }
    const over = relay.run({ client: inner, target: dialled, first });
    for (const each of [client, server, inner, dialled]) each.on('error', () => undefined);
    return { client, server, relay, over, inner: { client: inner, server: dialled }, stopped: stopped.promise };
  }

  test('carries bytes both ways, unharmed, whatever their number', async () => {
    const { client, server, relay, over } = await setStage({ first: Buffer.from('begin ') });
    const [down, up] = [randomBytes(48 << 20), randomBytes(16 << 20)];
    const heard = Promise.all([hashOf(client), hashOf(server)]);
    client.end(up);
    server.end(down);
    const [atClient, atServer] = await heard;
    assert.equal(atClient, sha256(down));
    assert.equal(atServer, sha256(Buffer.concat([Buffer.from('begin '), up])));
    assert.equal(await over, 'ended');
    assert.equal(relay.received, down.length);
    assert.equal(relay.sent, up.length + 6);
  });

  test('a reader that pauses stops the sender, and loses nothing', async () => {
    const { client, server, over, stopped } = await setStage();
    const content = randomBytes(24 << 20);
    server.end(content);
    await stopped;
    // Four buffers of ours, and what the kernel holds for three sockets: far from all of it.
    assert.ok(server.writableLength > 4 << 20, `${server.writableLength} bytes wait at the sender`);
    const hash = createHash('sha256');
    client.end();
    for await (const chunk of client as AsyncIterable<Buffer>) {
      hash.update(chunk);
      // Slower than what is sent.
      await new Promise(setImmediate);
    }
    assert.equal(hash.digest('hex'), sha256(content));
    assert.equal(await over, 'ended');
  });

  test('delivers what the server said before the relay began', async () => {
    const { client, server, over } = await setStage({ speakFirst: '220 hello\r\n' });
    const [chunk] = (await once(client, 'data')) as [Buffer];
    assert.equal(chunk.toString(), '220 hello\r\n');
    client.end();
    server.resume();
    server.end();
    assert.equal(await over, 'ended');
  });

  test('a client may end its sending and go on listening', async () => {
    const { client, server, over } = await setStage();
    client.end('question');
    const [chunk] = (await once(server, 'data')) as [Buffer];
    assert.equal(chunk.toString(), 'question');
    await once(server, 'end');
    server.end('answer');
    const [answer] = (await once(client, 'data')) as [Buffer];
    assert.equal(answer.toString(), 'answer');
    assert.equal(await over, 'ended');
  });

  test('a side that breaks off is seen to break off by the other', async () => {
    const { client, server, over } = await setStage();
    server.write('half');
    await once(client, 'data');
    const closed = brokenOff(client);
    server.resetAndDestroy();
    assert.equal(await closed, 'ECONNRESET');
    assert.equal(await over, 'broken');
  });

  test('the other way round as well', async () => {
    const { client, server, over } = await setStage();
    client.write('half');
    await once(server, 'data');
    const closed = brokenOff(server);
    client.resetAndDestroy();
    assert.equal(await closed, 'ECONNRESET');
    assert.equal(await over, 'broken');
  });

  test('is ended when nothing moves, and not while something does', { timeout: 20_000 }, async (t) => {
    const time = mockTime(t);
    const { client, server, over } = await setStage({ idleTimeout: 200 });
    const ended: RelayEnd[] = [];
    void over.then((how) => ended.push(how));
    for (let i = 0; i < 6; i++) {
      time.pass(150);
      const heard = once(client, 'data');
      server.write('.');
      await heard;
    }
    assert.deepEqual(ended, [], 'it lives as long as something moves');
    time.pass(150);
    await new Promise(setImmediate);
    assert.deepEqual(ended, [], 'not before its time');
    // More than once: that the last byte was written, the relay may hear later than the client hears the byte.
    while (ended.length === 0) {
      time.pass(200);
      await new Promise(setImmediate);
    }
    assert.equal(await over, 'idle');
    server.end();
    await once(server.resume(), 'close');
  });

  for (const [gone, stays] of [
    ['client', 'server'],
    ['server', 'client'],
  ] as const) {
    test(`ends soon after the ${gone} has ended its sending and gone, though the ${stays} sends on`, {
      timeout: 20_000,
    }, async (t) => {
      const time = mockTime(t);
      const stage = await setStage();
      const heard: Buffer[] = [];
      stage[stays].on('data', (chunk: Buffer) => heard.push(chunk));
      stage[gone].end('bye');
      await once(stage[stays], 'end');
      stage[gone].resetAndDestroy();
      // After the end of what it read, the relay learns of the reset when it writes.
      await until(() => stage.inner[gone].closed || !stage[stays].write('more'));
      let ended: RelayEnd | undefined;
      void stage.over.then((how) => (ended = how));
      const counted = (): number => (stays === 'server' ? stage.relay.received : stage.relay.sent);
      const before = counted();
      stage[stays].write('more');
      await until(() => counted() > before);
      time.pass(900);
      await new Promise(setImmediate);
      assert.equal(ended, undefined, 'the last bytes have their time');
      time.pass(100);
      assert.equal(await stage.over, 'broken');
      assert.equal(Buffer.concat(heard).toString(), 'bye');
      stage[stays].destroy();
    });

    test(`ends when the ${gone} takes nothing, though it sends on`, { timeout: 20_000 }, async (t) => {
      const time = mockTime(t);
      const stage = await setStage({ idleTimeout: 300 });
      stage[stays].resume();
      stage[gone].pause();
      stage[stays].write(Buffer.alloc(32 << 20));
      const counted = (): number => (gone === 'client' ? stage.relay.sent : stage.relay.received);
      const ends: RelayEnd[] = [];
      void stage.over.then((how) => ends.push(how));
      while (ends.length === 0) {
        const before = counted();
        stage[gone].write('more');
        await until(() => counted() > before || ends.length > 0);
        time.pass(50);
        await new Promise(setImmediate);
      }
      assert.deepEqual(ends, ['stalled']);
      stage[gone].destroy();
      stage[stays].destroy();
    });
  }

  test('a side that takes its bytes slowly is no side that takes none', async (t) => {
    const time = mockTime(t);
    const { client, server, over } = await setStage({ idleTimeout: 1500 });
    // About 200 pieces: together they take longer than the limit, each of them a hundredth of it.
    const content = randomBytes(12 << 20);
    server.end(content);
    client.end();
    let count = 0;
    let passed = 0;
    client.on('data', (chunk: Buffer) => {
      count += chunk.length;
      passed += 12;
      time.pass(12);
      client.pause();
      setImmediate(() => client.resume());
    });
    await once(client, 'end');
    assert.equal(count, content.length);
    assert.equal(await over, 'ended');
    assert.ok(passed > 1500, `slower than the limit: ${passed} ms`);
  });

  test('a hundred at once, each with its own bytes', async () => {
    const stages: Stage[] = [];
    for (let i = 0; i < 100; i++) stages.push(await setStage());
    await Promise.all(
      stages.map(async ({ client, server, over }) => {
        const content = randomBytes(200_000);
        const heard = hashOf(client);
        server.resume();
        server.end(content);
        client.end();
        assert.equal(await heard, sha256(content));
        assert.equal(await over, 'ended');
      }),
    );
  });
});

/** Resolves with the code of the error that a socket ends with. */
function brokenOff(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code)));
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Of all that comes. (Iterating over a socket would destroy it at the end, with what it has yet to send.) */
async function hashOf(socket: Socket): Promise<string> {
  const hash = createHash('sha256');
  socket.on('data', (chunk: Buffer) => hash.update(chunk));
  await once(socket, 'end');
  return hash.digest('hex');
}
