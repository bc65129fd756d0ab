import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { truncate } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Content, content } from '../support/image.ts';
import { download, isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Bodies that the kernel sends from their file: the same bytes as if they were read, whatever the client does meanwhile.

const MiB = 1024 * 1024;
const REPOSITORY = 'team/app';
const blob = content('application/octet-stream', randomBytes(24 * MiB + 4321));
const path = `/up/v2/${REPOSITORY}/blobs/${blob.digest}`;

async function startWarm(): Promise<{ readonly mirror: Mirror } & AsyncDisposable> {
  const upstream: ScriptedUpstream = await startScriptedUpstream();
  upstream.addBlob(REPOSITORY, blob);
  const mirror = await startMirror({ registries: { up: { upstreams: [upstream.url] } } });
  await mirror.get(path);
  await mirror.logged(isIngestEnd(blob.digest));
  return {
    mirror,
    async [Symbol.asyncDispose]() {
      await mirror.stop();
      await upstream.stop();
    },
  };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** A client that reads only while the test takes. */
class Client {
  readonly socket: Socket;
  #received: Buffer[] = [];
  #held = 0;
  #isOver = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#held += chunk.length;
      socket.pause();
      this.#wake?.();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#isOver = true;
      this.#wake?.();
    });
    socket.pause();
  }

  static async connect({ host }: Mirror): Promise<Client> {
    const [address = '', port] = host.split(':');
    const socket = connect({ host: address, port: Number(port) });
    await once(socket, 'connect');
    return new Client(socket);
  }

  ask({ host }: Mirror): void {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  }

  /** Takes so many bytes of what comes. */
  async take(count: number): Promise<Buffer> {
    while (this.#held < count) {
      if (this.#isOver) throw new Error('the connection was cut');
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      this.socket.resume();
      await promise;
    }
    this.#held -= count;
    const taken: Buffer[] = [];
    // Piece by piece: to join all that waits for each take would copy the whole body thousands of times.
    for (let missing = count; missing > 0; ) {
      const [first = Buffer.alloc(0)] = this.#received;
      taken.push(first.subarray(0, missing));
      if (first.length > missing) this.#received[0] = first.subarray(missing);
      else this.#received.shift();
      missing -= Math.min(first.length, missing);
    }
    return taken.length === 1 ? (taken[0] as Buffer) : Buffer.concat(taken);
  }

  async head(): Promise<string> {
    let text = '';
    while (!text.endsWith('\r\n\r\n')) text += (await this.take(1)).toString('latin1');
    return text;
  }
}

describe('a warm blob', () => {
  test('comes whole to a client that reads in fits and starts, and the connection goes on', async () => {
    await using world = await startWarm();
    const reader = await Client.connect(world.mirror);
    for (let round = 0; round < 2; round++) {
      reader.ask(world.mirror);
      assert.match(await reader.head(), new RegExp(`content-length: ${blob.size}\\r`, 'i'));
      const hash = createHash('sha256');
      for (let left = blob.size, step = 1; left > 0; step = (step * 7) % (3 * MiB)) {
        const count = Math.min(step, left);
        hash.update(await reader.take(count));
        left -= count;
        if (step > MiB) await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(`sha256:${hash.digest('hex')}`, blob.digest);
    }
    // Asked for in advance, they come one after the other.
    for (let ahead = 0; ahead < 2; ahead++) reader.ask(world.mirror);
    for (let ahead = 0; ahead < 2; ahead++) {
      await reader.head();
      assert.equal(digestOf(await reader.take(blob.size)), blob.digest);
    }
    reader.socket.destroy();
  });

  test('comes in any part, right to the byte', async () => {
    await using world = await startWarm();
    const position = fc.oneof(
      fc.integer({ min: 0, max: blob.size - 1 }),
      fc.constantFrom(0, 4095, 4096, blob.size - 1),
    );
    await fc.assert(
      fc.asyncProperty(position, position, async (one, other) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        const answer = await world.mirror.get(path, { range: `bytes=${start}-${end}` });
        assert.equal(answer.status, 206);
        assert.ok(answer.body.equals(blob.bytes.subarray(start, end + 1)), `${start}-${end}`);
      }),
      { numRuns: 40 },
    );
  });

  test('comes to thirty at once, one of whom sleeps and one of whom leaves', async () => {
    await using world = await startWarm();
    const [sleeper, leaver] = [await Client.connect(world.mirror), await Client.connect(world.mirror)];
    for (const each of [sleeper, leaver]) {
      each.ask(world.mirror);
      await each.head();
      await each.take(100_000);
    }
    const others = Array.from({ length: 28 }, () => download(world.mirror.url + path, blob));
    leaver.socket.destroy();
    for (const { right, whole } of await Promise.all(others)) assert.ok(right && whole);
    const rest = await sleeper.take(blob.size - 100_000);
    assert.ok(rest.equals(blob.bytes.subarray(100_000)));
    sleeper.socket.destroy();
    const line = await world.mirror.logged(({ msg, error }) => msg === 'request' && error !== undefined);
    assert.equal(line['error'], 'the client left');
  });

  test('is cut, and never complete, where its file is cut meanwhile', async () => {
    await using world = await startWarm();
    const reader = await Client.connect(world.mirror);
    reader.ask(world.mirror);
    await reader.head();
    await reader.take(100_000);
    await truncate(fileOf(world.mirror, blob), 20 * MiB);
    await assert.rejects(reader.take(blob.size - 100_000), /was cut/);
    // The next client finds it whole again.
    const answer = await world.mirror.get(path);
    assert.equal(answer.headers['x-cache'], 'MISS');
    assert.equal(digestOf(answer.body), blob.digest);
  });

  test('is counted in the log to the byte', async () => {
    await using world = await startWarm();
    await world.mirror.get(path, { range: 'bytes=1000-20000000' });
    const line = await world.mirror.logged(({ msg, ...fields }) => msg === 'request' && fields['status'] === 206);
    assert.equal(line['bytes'], 19_999_001);
  });
});

function fileOf({ dir }: Mirror, { digest }: Content): string {
  const hex = digest.slice('sha256:'.length);
  return join(dir, 'blobs', 'sha256', hex.slice(0, 2), hex);
}
