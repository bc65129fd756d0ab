import { connect, type Socket } from 'node:net';
import { openRoad, type Via } from './road.ts';

/** A blob to pull, and what it must be. */
export interface PullOptions {
  /** Every byte is compared with this. */
  readonly expected: Buffer;
  /** Where the bytes arrive. Pulls of one thread may share it: it is read before anything else arrives. */
  readonly buffer: Buffer;
  /** Called once, when half of the body is here. */
  readonly onHalf?: () => void;
  /** Milliseconds for the whole pull. @default 120000 */
  readonly timeout?: number;
  /** Through which mirror. @default none */
  readonly via?: Via | undefined;
}

/** Milliseconds since the pull began. */
export interface PullTimes {
  readonly firstByte: number;
  readonly lastByte: number;
}

const MAX_HEAD = 16 * 1024;

/**
 * Pulls a blob on a connection of its own and compares it, byte for byte, as it comes.
 *
 * A raw socket with one buffer, because a client that costs more than the server would measure itself: comparing is
 * about a tenth of what hashing costs.
 *
 * @throws {Error} for any answer but 200, another length, another byte, or a body that ends early
 */
export function pull(url: URL, { expected, buffer, onHalf, timeout = 120_000, via }: PullOptions): Promise<PullTimes> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    let head = '';
    let isInBody = false;
    let received = 0;
    let firstByte = 0;
    let halfSeen = false;
    let socket: Socket | undefined;

    function fail(what: string): false {
      clearTimeout(timer);
      socket?.destroy();
      reject(new Error(`Cannot pull ${url.pathname} from ${url.host}: ${what}`));
      return false;
    }

    function takeBody(chunk: Buffer): boolean {
      if (chunk.length === 0) return true;
      if (received === 0) firstByte = performance.now() - began;
      const end = received + chunk.length;
      if (end > expected.length) return fail(`it sent more than ${expected.length} bytes`);
      if (expected.compare(chunk, 0, chunk.length, received, end) !== 0) {
        return fail(`a byte between ${received} and ${end} is wrong`);
      }
      received = end;
      if (!halfSeen && received * 2 >= expected.length) {
        halfSeen = true;
        onHalf?.();
      }
      if (received < expected.length) return true;
      clearTimeout(timer);
      socket?.destroy();
      resolve({ firstByte, lastByte: performance.now() - began });
      return false;
    }

    function take(chunk: Buffer): boolean {
      if (isInBody) return takeBody(chunk);
      const before = head.length;
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return head.length < MAX_HEAD || fail('its head does not end');
      head = head.slice(0, end);
      const problem = findProblem(head, expected.length);
      if (problem !== undefined) return fail(problem);
      isInBody = true;
      return takeBody(chunk.subarray(end + 4 - before));
    }

    function ask(connected: Socket): void {
      socket = connected;
      socket.on('error', (error) => fail(error.message));
      socket.on('end', () => fail(`it ended after ${received} of ${expected.length} bytes`));
      const target = via?.kind === 'absolute' ? url.href : url.pathname;
      socket.write(`GET ${target} HTTP/1.1\r\nHost: ${url.host}\r\nAccept: */*\r\nConnection: close\r\n\r\n`);
    }

    const timer = setTimeout(() => fail(`only ${received} bytes came within ${timeout} ms`), timeout);
    if (via !== undefined) {
      openRoad(url, via).then(
        (road) => ask(road.on('data', take)),
        (error: Error) => fail(error.message),
      );
      return;
    }
    ask(
      connect({
        host: url.hostname,
        port: Number(url.port),
        onread: { buffer, callback: (length, bytes) => take((bytes as Buffer).subarray(0, length)) },
      }),
    );
  });
}

function findProblem(head: string, length: number): string | undefined {
  const [statusLine = ''] = head.split('\r\n', 1);
  if (!/^HTTP\/1\.1 200\b/.test(statusLine)) return `it answered "${statusLine}"`;
  const said = /^content-length: *(\d+)$/im.exec(head)?.[1];
  return Number(said) === length ? undefined : `it announced ${said ?? 'no length'}, not ${length} bytes`;
}
