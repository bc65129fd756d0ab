import type { IncomingMessage } from 'node:http';
import type { ByteSource } from '../../lib/index.ts';

/** The body of a client's request, pulled: what is not asked for stays in the socket. */
export class IncomingBody implements ByteSource {
  readonly #request: IncomingMessage;
  readonly #onBytes: (count: number) => void;
  #waiting: PromiseWithResolvers<Buffer | undefined> | undefined;
  #error: Error | undefined;
  #isOver = false;

  /** @param onBytes hears how many there were, each time */
  constructor(request: IncomingMessage, onBytes: (count: number) => void) {
    this.#request = request;
    this.#onBytes = onBytes;
    request.on('readable', () => this.#serve());
    request.on('end', () => {
      this.#isOver = true;
      this.#serve();
    });
    request.on('error', (error) => this.#fail(error));
    request.on('close', () => this.#fail(new Error('the client left')));
  }

  read(): Promise<Buffer | undefined> {
    this.#waiting = Promise.withResolvers();
    const { promise } = this.#waiting;
    this.#serve();
    return promise;
  }

  /** What still comes is dropped, so that the connection can serve its next request. */
  cancel(): void {
    this.#fail(new Error('nobody takes it'));
    this.#request.resume();
  }

  #serve(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    const chunk = this.#error === undefined ? (this.#request.read() as Buffer | null) : null;
    if (chunk === null && !this.#isOver && this.#error === undefined) return;
    this.#waiting = undefined;
    if (chunk !== null) {
      this.#onBytes(chunk.length);
      waiting.resolve(chunk);
    } else if (this.#error === undefined) {
      waiting.resolve(undefined);
    } else {
      waiting.reject(this.#error);
    }
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#error ??= error;
    this.#serve();
  }
}
