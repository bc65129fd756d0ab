import { connect, type Socket } from 'node:net';

export interface Asked {
  readonly url: string;
  readonly accept: string;
  /** @default no such header */
  readonly authorization?: string | undefined;
  /** Connections, each with one request at a time. */
  readonly connections: number;
}

const END_OF_HEAD = '\r\n\r\n';

/**
 * Kept connections that ask a server for the same thing over and over, and pause between: servers that are compared take short
 * turns, in which the machine is the same for both. Raw sockets; answers are told apart by their Content-Length.
 */
export class Connections {
  readonly #asked: Asked;
  readonly #request: Buffer;
  readonly #sockets: readonly Socket[];
  /** Until when another request is sent after an answer, by `performance.now()`. */
  #until = 0;
  /** Requests that are still to be sent after answers. */
  #left = 0;
  #answered = 0;
  #busy = 0;
  #turn: PromiseWithResolvers<number> | undefined;
  /** Why nothing more can be asked. */
  #failure: Error | undefined;

  constructor(asked: Asked) {
    const { url, accept, authorization, connections } = asked;
    const { hostname, host, port, pathname } = new URL(url);
    const login = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`;
    this.#asked = asked;
    this.#request = Buffer.from(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nAccept: ${accept}\r\n${login}\r\n`);
    this.#sockets = Array.from({ length: connections }, () => this.#open(hostname, Number(port)));
  }

  /** Asks on every connection for so long. Resolves with the number of answers once the last one is here; rejects where one is not 200. */
  askFor(milliseconds: number): Promise<number> {
    return this.#ask({ until: performance.now() + milliseconds, times: Number.POSITIVE_INFINITY });
  }

  /** Asks so often, on all connections together. Resolves once the last answer is here; rejects where one is not 200. */
  async ask(times: number): Promise<void> {
    await this.#ask({ until: Number.POSITIVE_INFINITY, times });
  }

  #ask({ until, times }: { readonly until: number; readonly times: number }): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#turn = Promise.withResolvers();
    this.#answered = 0;
    this.#until = until;
    const first = this.#sockets.slice(0, times);
    this.#busy = first.length;
    this.#left = times - first.length;
    for (const socket of first) socket.write(this.#request);
    return this.#turn.promise;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(host: string, port: number): Socket {
    let head = '';
    /** Bytes of the answer that are still to come; undefined before its head is here. */
    let missing: number | undefined;
    const socket = connect({ host, port, noDelay: true });
    socket.on('error', (error) => this.#fail(error));
    socket.on('end', () => this.#fail(new Error(`${host}:${port} closed a connection that was to be kept`)));
    socket.on('data', (chunk: Buffer) => {
      if (missing === undefined) {
        // Every byte is one character, so that lengths are the same.
        head += chunk.toString('latin1');
        const end = head.indexOf(END_OF_HEAD);
        if (end < 0) return;
        const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
        if (!head.startsWith('HTTP/1.1 200 ') || length === undefined) {
          this.#fail(new Error(`${this.#asked.url} answered ${head.slice(0, 200)}`));
          return;
        }
        missing = Number(length) - (head.length - end - END_OF_HEAD.length);
      } else missing -= chunk.length;
      if (missing > 0) return;
      head = '';
      missing = undefined;
      this.#answered += 1;
      if (this.#left > 0 && performance.now() < this.#until) {
        this.#left -= 1;
        socket.write(this.#request);
      } else this.#rest();
    });
    return socket;
  }

  #rest(): void {
    this.#busy -= 1;
    if (this.#busy === 0) this.#turn?.resolve(this.#answered);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.close();
    this.#turn?.reject(this.#failure);
  }
}
