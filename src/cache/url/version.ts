import type { ByteSource } from '../../lib/index.ts';
import { type OpenBlobOptions, type OriginBlob, parseContentRange } from '../../oci/index.ts';
import { OriginError } from '../origin-error.ts';
import { failureKindOf, retryAfterOf } from './failure.ts';
import type { UrlRequest, UrlResponse } from './request.ts';
import { hasValidator, strongValidator } from './validator.ts';

interface UrlVersionOptions {
  /** Asks for the rest where the body breaks off. */
  readonly open: UrlRequest['open'];
  /** The name of the upstream, for errors and events. */
  readonly upstream: string;
}

/**
 * The body of one version of a URL, as a transfer opens it: the first time that of `first`, and after each break the rest
 * from where it broke off. A later response must have the strong validator of the first, or it is refused: no client ever
 * gets the beginning of one version and the end of another.
 */
export function openVersion(
  first: UrlResponse,
  { open, upstream }: UrlVersionOptions,
): (options: OpenBlobOptions) => Promise<OriginBlob> {
  const validator = strongValidator(first.headers);
  const size = first.length;
  let isFirst = true;

  async function next(offset: number, signal: AbortSignal): Promise<UrlResponse> {
    if (validator === undefined) {
      const message = `Cannot continue the body of ${upstream} that broke off, as nothing tells its versions apart`;
      throw new OriginError(message, { kind: 'invalid', upstream });
    }
    return open({ method: 'GET', headers: {}, signal, ...(offset === 0 ? {} : { offset, validator }) });
  }

  return async ({ offset = 0, signal = new AbortController().signal }) => {
    if (isFirst) {
      isFirst = false;
      return blobOf(bound(first.body, signal), { offset: 0, size, upstream });
    }
    const response = await next(offset, signal);
    const found = validator === undefined ? 'another version' : judge(response, { offset, size, validator });
    if (typeof found === 'string') {
      response.body.cancel();
      throw failureOf(response, { found, upstream });
    }
    const body = response.status === 206 ? response.body : skip(response.body, { offset, upstream });
    return blobOf(body, { offset, size: found.size, upstream });
  };
}

interface Expectation {
  readonly offset: number;
  /** Bytes of the whole; undefined where they are not known. */
  readonly size: number | undefined;
  readonly validator: string;
}

/** The size of the whole, or what is wrong with a response that should continue a body. */
function judge(
  { status, headers, length }: UrlResponse,
  { offset, size, validator }: Expectation,
): { readonly size: number | undefined } | string {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') return `a body encoded with ${encoding}`;
  if (status === 206 && offset > 0) {
    const range = parseContentRange(headers['content-range']);
    if (range === undefined || range.start !== offset) return `the range ${headers['content-range'] ?? '(none)'}`;
    if (!continues(headers, validator)) return 'another version';
    if (size !== undefined && range.total !== undefined && range.total !== size) return `${range.total} bytes in all`;
    return { size: size ?? range.total };
  }
  if (status !== 200) return `the status ${status}`;
  if (!hasValidator(headers, validator)) return 'another version';
  if (size !== undefined && length !== undefined && length !== size) return `${length} bytes in all`;
  return { size: size ?? length };
}

/** A 206 under If-Range has to repeat the entity tag, but not the date (RFC 9110, section 15.3.7). */
function continues(headers: Readonly<Record<string, string>>, validator: string): boolean {
  const isDate = !validator.startsWith('"');
  if (isDate && headers['last-modified'] === undefined && headers['etag'] === undefined) return true;
  return hasValidator(headers, validator);
}

function blobOf(
  body: ByteSource,
  { offset, size, upstream }: { readonly offset: number; readonly size: number | undefined; readonly upstream: string },
): OriginBlob {
  return { body, offset, size, upstream, visibility: 'public' };
}

/** Ends a body by a signal that it was not opened with. */
function bound(body: ByteSource, signal: AbortSignal): ByteSource {
  const cancel = (): void => body.cancel(signal.reason as Error);
  if (signal.aborted) cancel();
  else signal.addEventListener('abort', cancel, { once: true });
  return {
    read: () => body.read(),
    cancel(reason) {
      signal.removeEventListener('abort', cancel);
      body.cancel(reason);
    },
  };
}

/** A body without its first bytes. */
function skip(
  body: ByteSource,
  { offset, upstream }: { readonly offset: number; readonly upstream: string },
): ByteSource {
  let left = offset;
  return {
    async read() {
      for (;;) {
        const chunk = await body.read();
        if (left === 0) return chunk;
        // Returned, this end would be taken for the end of the whole.
        if (chunk === undefined) {
          throw new OriginError(`${upstream} ends before what it sent already`, { kind: 'invalid', upstream });
        }
        if (chunk.length > left) {
          const rest = chunk.subarray(left);
          left = 0;
          return rest;
        }
        left -= chunk.length;
      }
    },
    cancel: (reason) => body.cancel(reason),
  };
}

function failureOf(
  response: UrlResponse,
  { found, upstream }: { readonly found: string; readonly upstream: string },
): OriginError {
  const message = `${upstream} does not continue the body that broke off: it answers with ${found}`;
  return new OriginError(message, {
    kind: failureKindOf(response.status),
    upstream,
    retryAfter: retryAfterOf(response),
  });
}
