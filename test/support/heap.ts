import assert from 'node:assert/strict';
import type { RunningProcess } from './processes.ts';

// What a program keeps in memory, asked of itself by the Chrome DevTools Protocol (domains HeapProfiler and Runtime).

/** The environment of a Node whose heap is looked at: the kernel chooses the port of its inspector. */
export const INSPECTED: NodeJS.ProcessEnv = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };

/** Bytes in use after a collection. */
export interface HeapUse {
  /** Of objects of JavaScript. */
  readonly heap: number;
  /** Of buffers, which lie outside the heap. */
  readonly buffers: number;
}

/** Milliseconds for a collection and its answer on a busy machine. */
const WITHIN = 60_000;

/** The heap of a running Node that was started with {@link INSPECTED}. `await using` closes the connection. */
export class Heap implements AsyncDisposable {
  readonly #socket: WebSocket;
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  static async of(process: Pick<RunningProcess, 'output'>): Promise<Heap> {
    const address = /Debugger listening on (ws:\S+)/.exec(process.output())?.[1];
    assert.ok(address !== undefined, 'the process has no inspector: start it with INSPECTED');
    const socket = new WebSocket(address);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve());
      socket.addEventListener('error', () => reject(new Error(`cannot open ${address}`)));
    });
    return new Heap(socket);
  }

  /** Collects what nothing refers to, and says what is left. */
  async afterCollection(): Promise<HeapUse> {
    // What a finalizer lets go of is collected by the next.
    for (let round = 0; round < 3; round += 1) await this.#call('HeapProfiler.collectGarbage');
    const { usedSize, backingStorageSize } = await this.#call('Runtime.getHeapUsage');
    return { heap: Number(usedSize), buffers: Number(backingStorageSize) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
  }

  #call(method: string): Promise<Readonly<Record<string, unknown>>> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Readonly<Record<string, unknown>>>();
    const deadline = setTimeout(() => reject(new Error(`${method} takes longer than ${WITHIN} ms`)), WITHIN);
    const heard = ({ data }: MessageEvent): void => {
      const answer = JSON.parse(String(data)) as Answer;
      if (answer.id !== id) return;
      if (answer.error === undefined) resolve(answer.result ?? {});
      else reject(new Error(`${method}: ${answer.error.message}`));
    };
    this.#socket.addEventListener('message', heard);
    this.#socket.send(JSON.stringify({ id, method }));
    return promise.finally(() => {
      clearTimeout(deadline);
      this.#socket.removeEventListener('message', heard);
    });
  }
}

interface Answer {
  readonly id?: number;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: { readonly message: string };
}
