import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeSync } from 'node:fs';
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, get as getSecurely } from 'node:https';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { BlobReader } from '../../lib/index.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { RequestContext } from './context.ts';
import { PIECE } from './direct-body.ts';
import { replyStream } from './reply.ts';

// The kernel is played by a write to the socket's descriptor: what counts here is who sends which bytes, and in what order.

const body = randomBytes(1_000_000);

/** Reads the body, and sends of it at once as much as `willing` says; counts what went which way. */
class Reader implements BlobReader {
  readonly ways = { sent: 0, readNow: 0, read: 0 };
  readonly #willing: () => number;
  readonly #inMemory: boolean;
  #position = 0;

  /** @param inMemory whether a few bytes can be read at once even where nothing is sent */
  constructor(willing: () => number, inMemory: boolean) {
    this.#willing = willing;
    this.#inMemory = inMemory;
  }

  readonly direct = {
    sendTo: (socket: number): number => {
      const most = this.#willing();
      if (most === 0) return 0;
      try {
        return this.#went(
          'sent',
          writeSync(socket, body, this.#position, Math.min(most, body.length - this.#position)),
        );
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'EAGAIN');
        return 0;
      }
    },
    readNow: (target: Buffer): number =>
      this.#went('readNow', this.#inMemory || this.#willing() > 0 ? this.#copy(target) : 0),
  };

  async read(target: Buffer): Promise<number> {
    return this.#went('read', this.#copy(target));
  }

  close(): void {}

  #copy(target: Buffer): number {
    return body.copy(target, 0, this.#position);
  }

  #went(way: keyof typeof this.ways, count: number): number {
    this.#position += count;
    this.ways[way] += count;
    return count;
  }
}

interface Stage {
  readonly willing?: () => number;
  readonly inMemory?: boolean;
  readonly length?: number | undefined;
  readonly prepare?: (context: RequestContext) => void;
  readonly secure?: boolean;
}

function pair(): { readonly key: Buffer; readonly cert: Buffer } {
  const at = (name: string): Buffer => readFileSync(new URL(`../../../test/support/tls/${name}.pem`, import.meta.url));
  return { key: at('server-key'), cert: at('server') };
}

/** Answers one request with the body; gives what came, and which way it went. */
async function deliver(t: Pick<TestContext, 'after'>, stage: Stage = {}) {
  const reader = new Reader(stage.willing ?? (() => 300_000), stage.inMemory === true);
  const telemetry = new Telemetry();
  let bytes = 0;
  telemetry.on('request.finished', (event) => {
    bytes = event.bytes;
  });
  const server: Server = stage.secure === true ? createSecureServer(pair()) : createServer();
  const answering = async (): Promise<void> => {
    const [request, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse];
    const context = new RequestContext(request, response, telemetry);
    stage.prepare?.(context);
    const over = once(response, 'close');
    const length = 'length' in stage ? stage.length : body.length;
    await replyStream(context, 200, {}, { reader, length });
    await over;
  };
  const finished = answering();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = { host: '127.0.0.1', port: (server.address() as { port: number }).port, agent: false };
  const asking = stage.secure === true ? getSecurely({ ...address, rejectUnauthorized: false }) : get(address);
  const [answer] = (await once(asking, 'response')) as [IncomingMessage];
  const received = Buffer.concat(await answer.toArray());
  await finished;
  server.close();
  return { received, ways: reader.ways, bytes };
}

describe('a body that may be sent from its file', () => {
  test('is sent from there, but for a few bytes between', async (t) => {
    const { received, ways, bytes } = await deliver(t);
    assert.ok(received.equals(body));
    assert.equal(bytes, body.length);
    assert.equal(ways.read, 0);
    assert.ok(ways.sent > 0.8 * body.length, JSON.stringify(ways));
  });

  test('is the same bytes whatever the kernel refuses', async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.infiniteStream(fc.constantFrom(0, 0, 1, 4096, 5000, 200_000)), async (answers) => {
        const willing = (): number => answers.next().value ?? 0;
        const { received, bytes } = await deliver(t, { willing });
        assert.ok(received.equals(body));
        assert.equal(bytes, body.length);
      }),
      { numRuns: 40 },
    );
  });

  test('leaves the socket as it found it: the last bytes, and those that are read, wait for no others', async (t) => {
    for (const [willing, expected] of [
      [() => 300_000, [false, true]],
      [() => 0, []],
    ] as const) {
      const calls: (boolean | undefined)[] = [];
      let endedWith: boolean | undefined;
      const prepare = ({ response }: RequestContext): void => {
        const { socket } = response;
        if (socket === null) return;
        const setNoDelay = socket.setNoDelay.bind(socket);
        socket.setNoDelay = (isOn) => {
          calls.push(isOn);
          return setNoDelay(isOn);
        };
        response.once('prefinish', () => (endedWith = calls.at(-1)));
      };
      await deliver(t, { willing, prepare });
      assert.deepEqual(calls, expected);
      assert.equal(endedWith, expected.at(-1));
    }
  });

  test('has the socket send what is read without a delay', async (t) => {
    let isDelayed = false;
    let reads = 0;
    const willing = [200_000, 200_000, 0, 0, 0, 0, 0, 0, 0, 0, 200_000];
    const prepare = ({ response }: RequestContext): void => {
      const { socket } = response;
      if (socket === null) return;
      socket.setNoDelay = (isOn) => {
        isDelayed = isOn === false;
        return socket;
      };
      const write = response.write.bind(response);
      response.write = ((chunk: Buffer, callback: () => void) => {
        if (chunk.length > PIECE) {
          reads += 1;
          assert.ok(!isDelayed);
        }
        return write(chunk, callback);
      }) as typeof write;
    };
    const { received } = await deliver(t, { willing: () => willing.shift() ?? 0, prepare });
    assert.ok(received.equals(body));
    assert.ok(reads > 0);
  });

  test('is read where it cannot be sent at all', async (t) => {
    const { received, ways } = await deliver(t, { willing: () => 0 });
    assert.ok(received.equals(body));
    assert.equal(ways.read, body.length);
  });

  test('is not read a few bytes at a time where those can be had and nothing be sent', async (t) => {
    const { received, ways } = await deliver(t, { willing: () => 0, inMemory: true });
    assert.ok(received.equals(body));
    assert.ok(ways.read > 0.8 * body.length, JSON.stringify(ways));
  });

  for (const [what, stage] of [
    ['goes through TLS', { secure: true }],
    ['goes in chunks', { length: undefined }],
    [
      'goes at a limited rate',
      {
        prepare: (context) => {
          context.throttle = () => 0;
        },
      },
    ],
  ] as const satisfies readonly (readonly [string, Stage])[]) {
    test(`is read where it ${what}`, async (t) => {
      const { received, ways } = await deliver(t, stage);
      assert.ok(received.equals(body));
      assert.deepEqual(ways, { sent: 0, readNow: 0, read: body.length });
    });
  }
});
