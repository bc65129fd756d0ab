import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { startRawServer, testPem } from '../../../test/support/raw-server.ts';
import { createDial } from '../dial/dial.ts';
import { Connection, type ConnectionUser } from './connection.ts';

/** A user that keeps what it hears, and gives no memory of its own. */
function listener(): ConnectionUser & { text: string; readonly ends: unknown[]; closes: number } {
  return {
    text: '',
    ends: [],
    closes: 0,
    room: () => undefined,
    bytes(piece, count) {
      this.text += piece.toString('latin1', 0, count);
      return true;
    },
    ended(error) {
      this.ends.push(error);
    },
    closed() {
      this.closes++;
    },
  };
}

async function connect(t: TestContext, secure: boolean, connected: (socket: Socket) => void = () => undefined) {
  const server = await startRawServer(({ socket }) => void socket.write('answer'), { tls: secure, connected });
  t.after(() => server.close());
  const dial = createDial({ tls: { ca: testPem('ca') } });
  const protocol = secure ? 'https:' : 'http:';
  const connection = await Connection.open(dial, {
    protocol,
    host: '127.0.0.1',
    port: server.port,
    addresses: { kind: 'any' },
  });
  t.after(() => connection.destroy());
  return { server, connection };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

for (const secure of [false, true]) {
  describe(`Connection${secure ? ' over TLS' : ''}`, () => {
    test('dies of bytes that come before any request', async (t) => {
      const { connection } = await connect(t, secure, (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      await new Promise<void>((resolve) => connection.whenDead(resolve));
      const user = listener();
      connection.begin(user, 'GET / HTTP/1.1\r\n\r\n');
      assert.deepEqual([user.text, user.ends, user.closes], ['', [undefined], 1]);
    });

    test('dies of bytes that come between requests', async (t) => {
      const { connection, server } = await connect(t, secure);
      const user = listener();
      connection.begin(user, 'GET / HTTP/1.1\r\n\r\n');
      await until(() => user.text === 'answer');
      connection.detach();
      assert.equal(connection.alive, true);
      server.sockets[0]?.write('poison');
      await new Promise<void>((resolve) => connection.whenDead(resolve));
      assert.equal(user.text, 'answer');
    });

    test('gives each user its own bytes', async (t) => {
      const { connection, server } = await connect(t, secure);
      for (let i = 0; i < 3; i++) {
        const user = listener();
        connection.begin(user, 'GET / HTTP/1.1\r\n\r\n');
        await until(() => user.text === 'answer');
        assert.equal(connection.reused, i > 0);
        connection.detach();
      }
      assert.equal(server.sockets.length, 1);
    });

    test('tells its user once that the socket is closed, after it said that nothing more comes', async (t) => {
      const { connection, server } = await connect(t, secure);
      const user = listener();
      connection.begin(user, 'GET / HTTP/1.1\r\n\r\n');
      await until(() => user.text === 'answer');
      server.sockets[0]?.end();
      await until(() => user.closes === 1);
      assert.ok(user.ends.length >= 1);
      assert.equal(connection.alive, false);
    });

    test('pauses when its user says so, and hears the end only when resumed', async (t) => {
      const { connection, server } = await connect(t, secure);
      const user = listener();
      let paused = false;
      user.bytes = (piece, count) => {
        user.text += piece.toString('latin1', 0, count);
        paused = true;
        return false;
      };
      connection.begin(user, 'GET / HTTP/1.1\r\n\r\n');
      await until(() => paused);
      server.sockets[0]?.end('more');
      // Anything would have arrived by then: a whole exchange with another connection takes less.
      const other = await connect(t, secure);
      const witness = listener();
      other.connection.begin(witness, 'GET / HTTP/1.1\r\n\r\n');
      await until(() => witness.text === 'answer');
      assert.deepEqual([user.text, user.ends], ['answer', []]);
      connection.resume();
      await until(() => user.text === 'answermore');
      connection.resume();
      await until(() => user.closes === 1);
    });

    test('closes when it is not used for a time', async (t) => {
      const { connection, server } = await connect(t, secure);
      connection.park(20);
      await until(() => server.sockets.length === 1);
      const socket = server.sockets[0] as Socket;
      // It may hear of the end as a reset.
      socket.on('error', () => {});
      if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
      assert.equal(connection.alive, false);
    });
  });
}
