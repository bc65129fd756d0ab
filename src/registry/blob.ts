import type { BlobAnswer, BlobHead } from '../cache/index.ts';
import { type Digest, formatContentRange, parseRanges, type RangePart, rangeInvalid } from '../oci/index.ts';
import { type Headers, PartsReader, type RequestContext, replyEmpty, replyStream } from '../server/index.ts';
import { isUnchanged, rangeOf } from './conditions.ts';

/** Where the bytes of one blob come from, for one request. */
interface BlobSource {
  /** Rejects where the repository does not have the blob. */
  readonly head: () => Promise<BlobHead>;
  /** Bytes of the blob, of which no more is asked; undefined where they are not known. */
  readonly size: () => Promise<number | undefined>;
  readonly open: (range: string | undefined) => Promise<BlobAnswer>;
  /** Whether the blob may be opened again where it failed before the first byte. */
  readonly mayRetry: (answer: BlobAnswer, error: unknown) => boolean;
  /** Sends the client elsewhere instead; false where it cannot. */
  readonly redirect?: () => Promise<boolean>;
}

/** A digest says nothing of the type. */
const BLOB_TYPE = 'application/octet-stream';

/**
 * Ranges of one request that are each asked of an upstream, where what comes is not kept. A host without Range sends the blob from its
 * first byte for each.
 */
const MOST_PASSED = 64;

/** Answers `GET` and `HEAD` of a blob: whole, one range of it or several, or 304. */
export async function sendBlob(context: RequestContext, digest: Digest, source: BlobSource): Promise<void> {
  const headers = {
    'content-type': BLOB_TYPE,
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
    // The content of a digest never changes.
    'cache-control': 'max-age=31536000, immutable',
  };
  const unchanged = isUnchanged(context, digest);
  if (context.isHead || unchanged) {
    const head = await source.head();
    context.cache = head.outcome;
    context.reason = head.reason;
    context.upstream = head.upstream;
    // 304 stands only for a 200 (RFC 9110 §13.2.1): head() has thrown where the repository does not have the blob.
    if (unchanged) return replyEmpty(context, 304, headers);
    return replyEmpty(context, 200, {
      ...headers,
      ...(head.size === undefined ? {} : { 'content-length': head.size }),
    });
  }
  if (await source.redirect?.()) return;
  const range = rangeOf(context, digest);
  if (range?.includes(',') === true && (await sendParts(context, headers, { range, source }))) return;
  const answer = await source.open(range);
  try {
    await send(context, headers, answer);
  } catch (error) {
    if (!source.mayRetry(answer, error) || context.response.headersSent || context.signal.aborted) throw error;
    await send(context, headers, await source.open(range));
  }
}

function send(context: RequestContext, headers: Headers, answer: BlobAnswer): Promise<void> {
  const { part, size, reader } = answer;
  context.cache = answer.outcome;
  context.reason = answer.reason;
  context.upstream = answer.upstream;
  if (part === undefined) return replyStream(context, 200, headers, { reader, length: size });
  const partHeaders = { ...headers, 'content-range': formatContentRange(part, size) };
  return replyStream(context, 206, partHeaders, { reader, length: part.end - part.start + 1 });
}

/** Answers several ranges; false where they are to be ignored, are too many to pass on, or the size is not known: then the whole is the answer. */
async function sendParts(
  context: RequestContext,
  headers: Headers,
  { range, source }: { readonly range: string; readonly source: BlobSource },
): Promise<boolean> {
  const size = await source.size();
  const parts = size === undefined ? undefined : parseRanges(range, size);
  if (size === undefined || parts === undefined) return false;
  if (parts.length === 0) {
    // The repository may not have the blob at all, which is 404.
    await source.head();
    throw rangeInvalid(size);
  }
  const open = ({ start, end }: RangePart) => source.open(`bytes=${start}-${end}`);
  const [only] = parts;
  if (only !== undefined && parts.length === 1) {
    await send(context, headers, await open(only));
    return true;
  }
  const { reader, first } = await PartsReader.open({ parts, size, contentType: BLOB_TYPE, open });
  if (first.outcome === 'PASS' && parts.length > MOST_PASSED) {
    reader.close();
    return false;
  }
  context.cache = first.outcome;
  context.reason = first.reason;
  context.upstream = first.upstream;
  const { contentType, length } = reader;
  await replyStream(context, 206, { ...headers, 'content-type': contentType }, { reader, length });
  return true;
}
