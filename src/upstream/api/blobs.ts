import { abortable } from '../../lib/index.ts';
import type { HttpStream } from '../../net/index.ts';
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  type OriginBlob,
  type OriginBlobHead,
  parseContentRange,
} from '../../oci/index.ts';
import { UpstreamError } from '../error.ts';
import type { RedirectTarget, SharedTarget } from '../redirects/index.ts';
import type { Upstream } from '../upstream.ts';
import { scopeOf, type UpstreamRequest, type UpstreamResponse } from '../upstream-request.ts';
import { watchBody } from '../watch-body.ts';
import { isIdentity } from './manifest-answer.ts';
import { partOf } from './part-source.ts';

const NOTHING = Buffer.alloc(0);

export interface BlobAsked extends Pick<UpstreamRequest, 'via' | 'signal'> {
  readonly repository: string;
  readonly digest: Digest;
  /** Bytes of the whole blob by its manifest; see `BlobOptions`. */
  readonly size?: number | undefined;
  /** A push follows: asked with the token for it, as a repository that is not there yet may need one. @default false */
  readonly isForPush?: boolean;
}

/** Both ends are inclusive. */
export interface BlobPartAsked extends BlobAsked {
  readonly offset: number;
  readonly end: number | undefined;
  /** The whole blob is refused where a part was asked for. @default false */
  readonly partOnly?: boolean;
  /** Of which the request is a part; see `OpenBlobOptions`. */
  readonly transfer?: object | undefined;
}

/** The size of the blob, by HEAD or, where that is or was refused, by a GET of its first byte. */
export async function headBlob(upstream: Upstream, asked: BlobAsked): Promise<OriginBlobHead> {
  const { heads } = upstream;
  const byGet = (): Promise<OriginBlobHead> => heads.askByGet('blob', () => firstByte(upstream, asked));
  if (heads.isRefused('blob')) return byGet();
  const request = blobRequest('HEAD', asked);
  const answer = await upstream.fetch(request, 0);
  if (heads.mayRefuse('blob', answer)) return byGet();
  if (answer.reply.status !== 200) throw await upstream.failure(request, answer);
  const length = answer.reply.headers['content-length'];
  const size = length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
  // Some proxies send the length of the body that an answer to HEAD does not have; a GET tells whether the blob is wrong.
  const isDoubtful = size === 0 && !isOfNothing(asked.digest);
  if (isDoubtful || wrongSize(size, asked) !== undefined) return firstByte(upstream, asked);
  heads.works('blob');
  return { size: size ?? asked.size, upstream: upstream.name, visibility: answer.visibility };
}

/** The blob without bytes, which is a layer of some artifacts. */
function isOfNothing(digest: Digest): boolean {
  return digest === digestOf(NOTHING, digestAlgorithm(digest));
}

/** What a GET says of the blob. By way of the registry, which signs a URL for one method. */
async function firstByte(upstream: Upstream, asked: BlobAsked): Promise<OriginBlobHead> {
  const { body, size, visibility } = await openBlob(upstream, { ...asked, offset: 0, end: 0 });
  body.cancel();
  return { size, upstream: upstream.name, visibility };
}

/** Answers to a request with Range that may be about the Range alone. */
const MAY_REFUSE_RANGE: ReadonlySet<number> = new Set([400, 403, 405, 406, 412, 416, 422, 501]);

/** Steps before the registry is asked: the storage refuses, another request asks the registry, the storage refuses again. */
const MOST_SHARED = 3;

/**
 * Opens the blob's body, or a part of it. A part of a transfer is asked of the storage to which the registry has redirected an
 * earlier request of it. Where the storage does not give that part, and for everything else, the registry is asked: a whole blob
 * begins with its word that the right to pull still holds.
 *
 * @throws {UpstreamError} `invalid` where the whole blob does not contain the part either
 */
export async function openBlob(upstream: Upstream, asked: BlobPartAsked): Promise<OriginBlob> {
  const { transfer, signal } = asked;
  const range = rangeHeader(asked);
  const shared = transfer === undefined ? undefined : upstream.targets.of(transfer);
  if (shared === undefined || range['range'] === undefined) return openByRegistry(upstream, asked, { range, shared });
  for (let steps = 0; steps < MOST_SHARED; steps += 1) {
    const target = shared.current;
    if (target !== undefined) {
      const opened = await openShared(upstream, asked, { range, shared, target });
      if (opened !== undefined) return opened;
    } else if (shared.renewal === undefined) break;
    else await abortable(shared.renewal, signal);
  }
  return shared.renewing(() => openByRegistry(upstream, asked, { range, shared }));
}

interface How {
  /** `Range`, or nothing. */
  readonly range: Readonly<Record<string, string>>;
  readonly shared: SharedTarget | undefined;
}

/** @returns undefined where the registry has to be asked: that the storage does not give the part says nothing about the blob */
async function openShared(
  upstream: Upstream,
  asked: BlobPartAsked,
  { range, shared, target }: How & { readonly shared: SharedTarget; readonly target: RedirectTarget },
): Promise<OriginBlob | undefined> {
  const opened = await tryOpen(upstream, asked, { range, shared, target }).catch(asUnopened);
  if (!('error' in opened)) return opened;
  asked.signal?.throwIfAborted();
  // The registry would lead to the same storage, which wants to be asked less.
  if (opened.error instanceof UpstreamError && opened.error.kind === 'throttled') throw opened.error;
  shared.drop(target);
  return undefined;
}

/** An exchange that failed. @throws any error that is not about the upstream */
function asUnopened(error: unknown): Pick<Unopened, 'error'> {
  if (error instanceof UpstreamError) return { error };
  throw error;
}

/**
 * Opens the blob by way of the registry. A storage that refuses the URL that was signed is asked once more by way of the registry.
 * Where Range is refused, or another part comes than the requested one, the whole blob is opened and the part cut out of it; a
 * host that refuses Range is not sent it again for a while.
 */
async function openByRegistry(upstream: Upstream, asked: BlobPartAsked, how: How): Promise<OriginBlob> {
  let opened = await tryOpen(upstream, asked, how);
  if (!('error' in opened)) return opened;
  if (how.range['range'] === undefined) throw opened.error;
  if (opened.isSignatureRefused) {
    opened = await tryOpen(upstream, asked, how);
    if (!('error' in opened)) return opened;
  }
  const { mayHaveWhole, refusingHost, error } = opened;
  if (!mayHaveWhole || asked.partOnly === true) throw error;
  const whole = await tryOpen(upstream, asked, { ...how, range: {} });
  if ('error' in whole) throw whole.error;
  if (refusingHost !== undefined) upstream.rangeRefusals.add(refusingHost);
  return whole;
}

/** A part that could not be opened. */
interface Unopened {
  readonly error: Error;
  /** The same request without Range may succeed. */
  readonly mayHaveWhole: boolean;
  /** A storage refused the URL that the registry had signed: another may be accepted. */
  readonly isSignatureRefused: boolean;
  /** The host that may not know Range. */
  readonly refusingHost: string | undefined;
}

async function tryOpen(
  upstream: Upstream,
  asked: BlobPartAsked,
  { range, shared, target }: How & { readonly target?: RedirectTarget },
): Promise<OriginBlob | Unopened> {
  const request = blobRequest('GET', asked, range);
  const answer = await (target === undefined ? upstream.open(request) : upstream.openAt(target, request));
  const { reply, redirected, url } = answer;
  const { status } = reply;
  if (status !== 200 && status !== 206) {
    return {
      error: await upstream.failure(request, answer),
      mayHaveWhole: MAY_REFUSE_RANGE.has(status),
      isSignatureRefused: redirected && status >= 400 && status < 500 && status !== 416 && status !== 429,
      refusingHost: status === 416 ? undefined : url.host,
    };
  }
  if (status === 200 && asked.partOnly === true) {
    reply.body.cancel();
    const error = upstream.invalid(request, 'it sent the whole blob where a part was asked for', status);
    return { error, mayHaveWhole: false, isSignatureRefused: false, refusingHost: undefined };
  }
  const part = status === 206 ? readPart(answer, asked) : readWhole(answer, asked);
  if ('wrong' in part) {
    reply.body.cancel();
    const error = upstream.invalid(request, part.wrong);
    return { error, mayHaveWhole: status === 206, isSignatureRefused: false, refusingHost: undefined };
  }
  const opened = { ...part, offset: asked.offset, upstream: upstream.name, visibility: answer.visibility };
  const used = target ?? answer.away;
  if (target === undefined) shared?.learn(used);
  if (shared === undefined || used === undefined) return opened;
  // Storages have been seen to send a head and no body: the registry may know a better one.
  const broken = (): void => shared.drop(used);
  return { ...opened, body: watchBody(part.body, { begun: () => {}, broken, left: () => {} }) };
}

export function blobRequest(
  method: 'GET' | 'HEAD',
  asked: BlobAsked,
  headers: Readonly<Record<string, string>> = {},
): UpstreamRequest {
  return {
    method,
    path: `/v2/${asked.repository}/blobs/${asked.digest}`,
    ...scopeOf(asked),
    headers: { accept: '*/*', ...headers },
    kind: 'blob',
    via: asked.via,
    signal: asked.signal,
  };
}

function rangeHeader(asked: BlobPartAsked): Readonly<Record<string, string>> {
  if (asked.offset === 0 && asked.end === undefined) return {};
  return { range: `bytes=${asked.offset}-${asked.end ?? ''}` };
}

type Part = Pick<OriginBlob, 'body' | 'size' | 'end'> | { readonly wrong: string };

/** A 206 must begin and end where it was asked to, and be as long as it says. */
function readPart(answer: UpstreamResponse<HttpStream>, asked: BlobPartAsked): Part {
  const { headers, length, body } = answer.reply;
  if (asked.offset === 0 && asked.end === undefined) return { wrong: 'it sent a part where all was asked for' };
  const range = parseContentRange(headers['content-range']);
  if (range === undefined) return { wrong: 'its 206 has no Content-Range that can be read' };
  const { start, end, total } = range;
  if (start !== asked.offset) return { wrong: `its part begins at ${start}, not at ${asked.offset}` };
  const wrong = wrongSize(total, asked) ?? wrongCoding(headers['content-encoding'], total, asked);
  if (wrong !== undefined) return { wrong };
  const size = total ?? asked.size;
  const last = Math.min(asked.end ?? Number.POSITIVE_INFINITY, (size ?? Number.POSITIVE_INFINITY) - 1);
  if (end > last || (Number.isFinite(last) && end < last)) return { wrong: `its part ends at ${end}, not at ${last}` };
  if (length !== undefined && length !== end - start + 1) return { wrong: 'its part is not as long as it says' };
  return { body, size, end };
}

/** A 200 holds the whole blob, even where a part was requested (RFC 9110: a server may ignore Range). */
function readWhole(answer: UpstreamResponse<HttpStream>, asked: BlobPartAsked): Part {
  const { headers, length, body } = answer.reply;
  const { offset, end } = asked;
  const coding = headers['content-encoding'];
  const isWhole = offset === 0 && end === undefined;
  const wrong = wrongSize(length, asked) ?? (isWhole ? undefined : wrongCoding(coding, length, asked));
  if (wrong !== undefined) return { wrong };
  const size = length ?? asked.size;
  if (isWhole) return { body, size };
  if (length !== undefined && offset >= length) return { wrong: `it has ${length} bytes, none at ${offset}` };
  return {
    body: partOf(body, { skip: offset, limit: end === undefined ? undefined : end - offset + 1 }),
    size,
  };
}

/**
 * Why a part cannot be the blob's own bytes, as it is labelled with a content coding: no digest tells. Where the manifest
 * confirms the size, the label is wrong (Apache's x-gzip for a `.tar.gz`); for a whole blob the digest decides.
 */
function wrongCoding(coding: string | undefined, said: number | undefined, { size }: BlobAsked): string | undefined {
  return isIdentity(coding) || (said !== undefined && said === size) ? undefined : `it came encoded, as ${coding}`;
}

/** Why a size that the upstream says cannot be the blob's; undefined where it can. */
function wrongSize(said: number | undefined, { size }: BlobAsked): string | undefined {
  if (said === undefined || size === undefined || said === size) return undefined;
  return `it gives ${said} bytes where the manifest says ${size}`;
}
