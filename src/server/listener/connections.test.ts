import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import { Connections } from './connections.ts';

/** As much of a socket as is looked at when nothing has moved on it. */
class QuietSocket extends EventEmitter {
  timeout = 60_000;
  bytesWritten = 0;
  writableLength = 0;
  destroyed = false;
  /** How often the timeout was restarted. */
  renewed = 0;

  setTimeout(ms: number): void {
    assert.equal(ms, this.timeout);
    this.renewed += 1;
  }

  destroy(): void {
    this.destroyed = true;
  }
}

function connected({ serving = true } = {}): { socket: QuietSocket; timeOut: () => boolean } {
  const connections = new Connections();
  const socket = new QuietSocket();
  const known = socket as unknown as Socket;
  connections.establish(known);
  if (serving) connections.begin(known, new EventEmitter() as ServerResponse);
  return {
    socket,
    timeOut() {
      connections.timedOut(known);
      return socket.destroyed;
    },
  };
}

describe('a connection on which nothing moved for the time it has', () => {
  test('is cut where no request is open on it', () => {
    const { timeOut } = connected({ serving: false });
    assert.equal(timeOut(), true);
  });

  test('waits on, as often as it takes, where it is we who let it wait', () => {
    const { socket, timeOut } = connected();
    for (let i = 0; i < 5; i += 1) assert.equal(timeOut(), false);
    assert.equal(socket.renewed, 5);
  });

  test('is cut where the client takes nothing of much that waits, for which Node has waited twice', () => {
    const { socket, timeOut } = connected();
    socket.writableLength = 256 * 1024;
    assert.equal(timeOut(), true);
  });

  test('is cut the second time where what waits is little', () => {
    const { socket, timeOut } = connected();
    socket.writableLength = 4096;
    socket.bytesWritten = 1_000_000;
    assert.equal(timeOut(), false);
    assert.equal(socket.renewed, 1);
    assert.equal(timeOut(), true);
  });

  test('lives while it is another little that waits each time', () => {
    const { socket, timeOut } = connected();
    socket.writableLength = 4096;
    for (let i = 1; i <= 5; i += 1) {
      socket.bytesWritten = i * 1_000_000;
      assert.equal(timeOut(), false);
    }
    assert.equal(timeOut(), true);
  });
});
