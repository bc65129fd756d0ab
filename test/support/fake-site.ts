import type { UrlKey, UrlOpen, UrlRequest, UrlResponse } from '../../src/cache/index.ts';
import { type ByteSource, byteSourceOf } from '../../src/lib/index.ts';
import { bodyOf } from './fake-origin.ts';

/** One version of what a {@link FakeSite} has. */
export interface SiteVersion {
  readonly bytes: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  /** False: sent in chunks, without its length. @default true */
  readonly saysLength?: boolean;
}

/** One question, as it was asked. */
export interface SiteCall extends UrlOpen {
  readonly offset: number;
}

/** A site with one file, which answers as RFC 9110 has it unless it is told to do something else. */
export class FakeSite {
  readonly calls: SiteCall[] = [];
  version: SiteVersion;
  /** False: Range is ignored. */
  doesRanges = true;
  /** False: conditions are ignored. */
  doesConditions = true;
  /** Runs before each answer; what it returns is the answer, and what it throws, the rejection. */
  before: (call: SiteCall) => unknown = () => undefined;
  /** The body of an answer. */
  deliver: (bytes: Buffer, call: SiteCall) => ByteSource = (bytes) => bodyOf(bytes, this.pieceSize);
  pieceSize = 64 * 1024;

  constructor(version: SiteVersion) {
    this.version = version;
  }

  /** `GET`, `HEAD`, `GET if-none-match`, `GET 1000-`: what was asked, in order. */
  asked(): string[] {
    return this.calls.map(({ method, offset, headers }) =>
      [method, ...Object.keys(headers), ...(offset > 0 ? [`${offset}-`] : [])].join(' '),
    );
  }

  readonly open = async (options: UrlOpen): Promise<UrlResponse> => {
    const call = { ...options, offset: options.offset ?? 0 };
    this.calls.push(call);
    call.signal.throwIfAborted();
    const left = Promise.withResolvers<never>();
    left.promise.catch(() => {});
    call.signal.addEventListener('abort', () => left.reject(call.signal.reason as Error), { once: true });
    const other = (await Promise.race([this.before(call), left.promise])) as UrlResponse | undefined;
    return other ?? this.#answer(call);
  };

  #answer(call: SiteCall): UrlResponse {
    const { bytes, headers, saysLength = true } = this.version;
    const { etag, 'last-modified': modified } = headers;
    const condition = call.headers['if-none-match'] ?? call.headers['if-modified-since'];
    if (this.doesConditions && condition !== undefined && (condition === etag || condition === modified)) {
      return { status: 304, headers, length: 0, body: byteSourceOf([]) };
    }
    if (call.method === 'HEAD') {
      return {
        status: 200,
        headers: { ...headers, 'content-length': String(bytes.length) },
        length: 0,
        body: byteSourceOf([]),
      };
    }
    const { offset, validator } = call;
    const isPart = this.doesRanges && offset > 0 && (validator === etag || validator === modified);
    if (isPart) {
      const range = `bytes ${offset}-${bytes.length - 1}/${bytes.length}`;
      return this.#sent(
        206,
        { ...headers, 'content-range': range },
        { part: bytes.subarray(offset), saysLength: true, call },
      );
    }
    return this.#sent(200, headers, { part: bytes, saysLength, call });
  }

  #sent(
    status: number,
    headers: Readonly<Record<string, string>>,
    { part, saysLength, call }: { readonly part: Buffer; readonly saysLength: boolean; readonly call: SiteCall },
  ): UrlResponse {
    const body = this.deliver(part, call);
    call.signal.addEventListener('abort', () => body.cancel(call.signal.reason as Error), { once: true });
    const framing: Record<string, string> = saysLength
      ? { 'content-length': String(part.length) }
      : { 'transfer-encoding': 'chunked' };
    return { status, headers: { ...headers, ...framing }, length: saysLength ? part.length : undefined, body };
  }
}

export const FILE_KEY: UrlKey = { route: 'site', url: 'https://site.test/file?token=1' };

/** A request for what a site has, with what is to be otherwise. */
export function urlRequest(site: FakeSite, changes: Partial<UrlRequest> = {}): UrlRequest {
  return {
    method: 'GET',
    open: site.open,
    personal: false,
    signal: new AbortController().signal,
    rules: { enabled: true, immutable: false },
    ...changes,
  };
}

/** An answer of a status, with little in it. */
export function plainResponse(status: number, headers: Readonly<Record<string, string>> = {}): UrlResponse {
  const bytes = Buffer.from(`status ${status}`);
  return {
    status,
    headers: { ...headers, 'content-length': String(bytes.length) },
    length: bytes.length,
    body: bodyOf(bytes),
  };
}
