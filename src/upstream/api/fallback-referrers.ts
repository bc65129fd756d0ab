import { ConcurrencyLimit, inTurns, keyOf, Lru, type Pieces } from '../../lib/index.ts';
import {
  type Digest,
  digestAlgorithm,
  digestHex,
  type OriginList,
  type OriginManifest,
  parseDigest,
} from '../../oci/index.ts';
import { UpstreamError } from '../error.ts';
import { type JsonObject, parseJsonObjectInPieces } from '../json.ts';
import type { Upstream } from '../upstream.ts';
import type { UpstreamRequest } from '../upstream-request.ts';
import { getManifest, headManifest, learnHead } from './manifests.ts';

/** A descriptor of an index; its other fields are passed on untouched. */
export type ReferrerDescriptor = Readonly<Record<string, unknown>> & { readonly digest: string };

/** What the fallback tag lists. */
export interface Found {
  readonly descriptors: readonly ReferrerDescriptor[];
  readonly visibility: OriginList['visibility'];
}

export interface FallbackAsked extends Pick<UpstreamRequest, 'via'> {
  readonly repository: string;
  /** Of the subject. */
  readonly digest: Digest;
}

/** Manifests read for one list. An image has a signature, an attestation and an SBOM, or a few of each. */
const MAX_READ = 64;
/** Bytes of manifests read for one list. */
const MAX_READ_BYTES = 16 * 1024 * 1024;
const CONCURRENT = 4;
/** Bytes of what is remembered of manifests, for each upstream; it follows from their digests and cannot change. */
const MAX_REMEMBERED = 1024 * 1024;

/** What a manifest says of itself. */
interface Facts {
  readonly subject: string | undefined;
  readonly descriptor: ReferrerDescriptor;
}

const remembered = new WeakMap<Upstream, Lru<Facts>>();

function factsAt(upstream: Upstream): Lru<Facts> {
  const weigh = ({ descriptor }: Facts): number => 200 + JSON.stringify(descriptor).length;
  const facts = remembered.get(upstream) ?? new Lru<Facts>({ maxWeight: MAX_REMEMBERED, weigh });
  remembered.set(upstream, facts);
  return facts;
}

/** The tag that lists referrers where the API does not (distribution-spec, "Referrers Tag Schema"). */
export function fallbackTag(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 64)}`;
}

/**
 * The referrers under the fallback tag; undefined where there is no such index.
 *
 * Clients write the tag, and cosign 3 gives the type of its config there. So each manifest is read: only what has the digest
 * as its `subject` is listed, under the artifact type and annotations of its own. What is beyond {@link MAX_READ} or
 * {@link MAX_READ_BYTES} stays as the tag lists it.
 *
 * @throws {UpstreamError} for a temporary failure
 */
export async function readFallback(
  upstream: Upstream,
  { repository, digest, via }: FallbackAsked,
  signal: AbortSignal,
): Promise<Found | undefined> {
  const reference = { kind: 'tag', tag: fallbackTag(digest) } as const;
  // Registries count a GET as a pull, and mostly there is nothing. The subject is there, in most cases.
  await learnHead(upstream, { repository, reference: { kind: 'digest', digest }, via, signal });
  if ((await orNothing(headManifest(upstream, { repository, reference, via, signal }))) === undefined) return undefined;
  const index = await orNothing(getManifest(upstream, { repository, reference, via, signal }));
  const listed = index === undefined ? undefined : (await inTurns(readIndex(index.bytes)))?.descriptors;
  if (index === undefined || listed === undefined) return undefined;
  const facts = factsAt(upstream);
  const limit = new ConcurrencyLimit(CONCURRENT);
  let toRead = MAX_READ;
  let bytesToRead = MAX_READ_BYTES;
  const entries = [...new Map(listed.map((each) => [each.digest, each])).values()];
  const read = async (entry: ReferrerDescriptor): Promise<ReferrerDescriptor | undefined> => {
    const own = parseDigest(entry.digest);
    if (own === undefined) return undefined;
    const key = keyOf(repository, own);
    let found = facts.get(key);
    if (found === undefined) {
      if (toRead <= 0 || bytesToRead <= 0) return entry;
      toRead -= 1;
      const asked = { repository, reference: { kind: 'digest', digest: own }, via, signal } as const;
      const manifest = await orNothing(getManifest(upstream, asked));
      bytesToRead -= manifest?.size ?? 0;
      found = manifest === undefined ? undefined : await inTurns(factsOf(manifest));
      if (found !== undefined) facts.set(key, found);
    }
    return found?.subject === digest ? { ...entry, ...found.descriptor } : undefined;
  };
  const descriptors = await Promise.all(entries.map((entry) => limit.run(() => read(entry))));
  return { descriptors: descriptors.filter((each) => each !== undefined), visibility: index.visibility };
}

/** The descriptor that a registry would list (distribution-spec, "Listing Referrers"), and the manifest's subject. */
export function* factsOf(
  manifest: Pick<OriginManifest, 'bytes' | 'mediaType' | 'digest' | 'size'>,
): Pieces<Facts | undefined> {
  const { bytes, mediaType, digest, size } = manifest;
  const json = yield* parseJsonObjectInPieces(bytes);
  if (json === undefined) return undefined;
  const { artifactType, annotations } = json;
  const type = isText(artifactType) ? artifactType : member(json['config'], 'mediaType');
  const subject = member(json['subject'], 'digest');
  return {
    subject: isText(subject) ? subject : undefined,
    descriptor: {
      mediaType,
      digest,
      size,
      // Undefined members are not written: what the tag says of a manifest's type does not count.
      artifactType: isText(type) ? type : undefined,
      ...(typeof annotations === 'object' && annotations !== null ? { annotations } : {}),
    },
  };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** Undefined for every permanent failure: registries report a missing tag in many ways. A temporary failure is thrown. */
async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof UpstreamError && !error.temporary) return undefined;
    throw error;
  }
}

/** An index as it was sent. */
export interface SentIndex {
  readonly json: JsonObject;
  readonly descriptors: readonly ReferrerDescriptor[];
}

/** Reads an index; undefined where the bytes are none. */
export function* readIndex(bytes: Buffer): Pieces<SentIndex | undefined> {
  const json = yield* parseJsonObjectInPieces(bytes);
  const manifests = json?.['manifests'];
  if (json === undefined || !Array.isArray(manifests)) return undefined;
  return { json, descriptors: manifests.filter(isDescriptor) };
}

function isDescriptor(value: unknown): value is ReferrerDescriptor {
  return typeof value === 'object' && value !== null && typeof (value as { digest?: unknown }).digest === 'string';
}
