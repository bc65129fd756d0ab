import { type ClientRequest, get, type IncomingHttpHeaders } from 'node:http';

export interface PullOptions {
  /** What the body must be; without it, whatever comes is right. */
  readonly expected?: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** Reads no faster than this. */
  readonly bytesPerSecond?: number;
  /** Milliseconds for the whole pull. @default 60000 */
  readonly timeout?: number;
  /** Hears how many bytes are here. */
  readonly onBytes?: (received: number) => void;
  /** Hangs up. */
  readonly signal?: AbortSignal;
}

/** How a pull ended. Times are milliseconds since it began. */
export interface Pulled {
  /** 0 where no answer came. */
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: number;
  readonly firstByte: number;
  readonly took: number;
  /** 200, all of it, every byte right. */
  readonly ok: boolean;
  /** 200 and complete by its framing, and not what it should be: what must never happen. */
  readonly wrong: boolean;
  /** For people: `cut after 1000 of 5000 bytes`. */
  readonly ending: string;
}

/** Pulls once, on a connection of its own, comparing every byte and keeping none. Never rejects. */
export function pull(url: string, options: PullOptions = {}): Promise<Pulled> {
  const { expected, headers = {}, bytesPerSecond, timeout = 60_000, onBytes, signal } = options;
  return new Promise((resolve) => {
    const began = performance.now();
    let bytes = 0;
    let firstByte = 0;
    let isRight = true;
    let failure = '';
    let answer: { status: number; headers: IncomingHttpHeaders; complete: () => boolean } | undefined;

    function end(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', leave);
      const whole = answer?.complete() === true;
      const status = answer?.status ?? 0;
      const fits = isRight && (expected === undefined || bytes === expected.length);
      const of = expected === undefined ? '' : ` of ${expected.length}`;
      const ending = whole
        ? `${status}, complete with ${bytes}${of} bytes${fits || status !== 200 ? '' : ', WRONG'}`
        : `${status}, cut after ${bytes}${of} bytes${failure === '' ? '' : ` (${failure})`}`;
      resolve({
        status,
        headers: answer?.headers ?? {},
        bytes,
        firstByte,
        took: performance.now() - began,
        ok: status === 200 && whole && fits,
        wrong: status === 200 && whole && !fits,
        ending,
      });
    }

    function leave(): void {
      failure ||= 'hung up';
      request.destroy();
    }

    const request: ClientRequest = get(url, { agent: false, headers }, (response) => {
      answer = { status: response.statusCode ?? 0, headers: response.headers, complete: () => response.complete };
      response.on('data', (chunk: Buffer) => {
        if (bytes === 0) firstByte = performance.now() - began;
        const next = bytes + chunk.length;
        if (expected !== undefined && response.statusCode === 200 && isRight) {
          isRight = next <= expected.length && expected.compare(chunk, 0, chunk.length, bytes, next) === 0;
        }
        bytes = next;
        onBytes?.(bytes);
        if (bytesPerSecond === undefined) return;
        const ahead = (bytes / bytesPerSecond) * 1000 - (performance.now() - began);
        if (ahead < 5) return;
        response.pause();
        setTimeout(() => response.resume(), ahead);
      });
      response.on('error', (error) => (failure ||= error.message));
      response.on('close', end);
    });
    request.on('error', (error) => {
      failure ||= error.message;
      if (answer === undefined) end();
    });
    const timer = setTimeout(() => {
      failure = `it did not end within ${timeout} ms`;
      request.destroy(new Error(failure));
    }, timeout);
    signal?.addEventListener('abort', leave, { once: true });
  });
}

/** Works through a list with so many at a time. */
export async function eachOf<T>(
  items: readonly T[],
  { atOnce, work }: { readonly atOnce: number; readonly work: (item: T, index: number) => Promise<void> },
): Promise<void> {
  let next = 0;
  async function worker(): Promise<void> {
    for (let at = next++; at < items.length; at = next++) await work(items[at] as T, at);
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
