import {
  type Digest,
  digestAlgorithm,
  digestHex,
  type ListQuery,
  MEDIA_TYPES,
  type OriginList,
  type OriginManifestHead,
} from '../../oci/index.ts';
import { UpstreamError } from '../error.ts';
import { parseJsonObject } from '../json.ts';
import type { Upstream } from '../upstream.ts';
import { type ListAsked, listQuestion, MAX_LIST_BYTES, readList } from './lists.ts';
import { getManifest, headManifest } from './manifests.ts';

export type ReferrersAsked = ListAsked<Extract<ListQuery, { kind: 'referrers' }>>;

/** A descriptor of an index; its other fields are passed on untouched. */
export type ReferrerDescriptor = Readonly<Record<string, unknown>> & { readonly digest: string };

/**
 * The manifests that refer to a digest (distribution-spec, "Listing Referrers").
 *
 * The upstream's own list is passed on. Where it has none (404, GHCR's 303 to a missing page, any other 4xx), the list is
 * made from what clients pushed instead: the index under the fallback tag `sha256-<hex>`, and cosign's tags, which are
 * older than the referrers API.
 *
 * @throws {UpstreamError} `not-found` where there are none: the next upstream may have some
 */
export async function listReferrers(upstream: Upstream, asked: ReferrersAsked): Promise<OriginList> {
  const request = { ...listQuestion(asked), follow: (status: number) => status !== 303 };
  const answer = await upstream.fetch(request, MAX_LIST_BYTES);
  const { status } = answer.reply;
  if (status === 200 && descriptorsIn(answer.reply.body) !== undefined) return readList(upstream, request, answer);
  const refusal = status === 200 ? undefined : await upstream.failure(request, answer);
  if (refusal?.temporary === true) throw refusal;
  return synthesise(upstream, asked, refusal);
}

/** The list where no upstream has referrers: by the specification an empty index, not 404. */
export function noReferrers(asked: ReferrersAsked['query']): Omit<OriginList, 'upstream' | 'visibility'> {
  return referrersIndex([], asked.artifactType);
}

async function synthesise(
  upstream: Upstream,
  asked: ReferrersAsked,
  refusal: UpstreamError | undefined,
): Promise<OriginList> {
  const { digest, artifactType } = asked.query;
  const parts = await Promise.all([
    tagged(upstream, asked),
    ...cosignTags(digest).map((each) => signed(upstream, asked, each)),
  ]);
  const found = parts.filter((each) => each !== undefined);
  if (found.length === 0) {
    if (refusal?.kind === 'denied') throw refusal;
    throw new UpstreamError(`${upstream.name} has no referrers of ${digest}`, {
      kind: 'not-found',
      upstream: upstream.name,
    });
  }
  const descriptors = new Map(found.flatMap((each) => each.descriptors).map((each) => [each.digest, each]));
  return {
    ...referrersIndex([...descriptors.values()], artifactType),
    upstream: upstream.name,
    visibility: found.some((each) => each.visibility === 'private') ? 'private' : 'public',
  };
}

interface Found {
  readonly descriptors: readonly ReferrerDescriptor[];
  readonly visibility: OriginList['visibility'];
}

async function tagged(upstream: Upstream, asked: ReferrersAsked): Promise<Found | undefined> {
  const { repository, query, signal } = asked;
  const reference = { kind: 'tag', tag: fallbackTag(query.digest) } as const;
  const manifest = await orNothing(getManifest(upstream, { repository, reference, signal }));
  const descriptors = manifest === undefined ? undefined : descriptorsIn(manifest.bytes);
  return manifest === undefined || descriptors === undefined
    ? undefined
    : { descriptors, visibility: manifest.visibility };
}

async function signed(upstream: Upstream, asked: ReferrersAsked, tag: CosignTag): Promise<Found | undefined> {
  const { repository, signal } = asked;
  const reference = { kind: 'tag', tag: tag.tag } as const;
  const head = await orNothing(headManifest(upstream, { repository, reference, signal }));
  return head === undefined ? undefined : { descriptors: [cosignDescriptor(head, tag)], visibility: head.visibility };
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

/** The tag that lists referrers where the API does not (distribution-spec, "Referrers Tag Schema"). */
export function fallbackTag(digest: Digest): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 64)}`;
}

/** A tag under which cosign stores a signature, attestation or SBOM, and its artifact type. */
export interface CosignTag {
  readonly tag: string;
  readonly artifactType: string;
}

/**
 * Cosign's tags for a digest: signatures, attestations, SBOMs. The artifact types are those cosign itself writes where it
 * uses referrers (`application/vnd.dev.cosign.artifact.<kind>.v1+json`).
 */
export function cosignTags(digest: Digest): readonly CosignTag[] {
  if (digestAlgorithm(digest) !== 'sha256') return [];
  return ['sig', 'att', 'sbom'].map((kind) => ({
    tag: `sha256-${digestHex(digest)}.${kind}`,
    artifactType: `application/vnd.dev.cosign.artifact.${kind}.v1+json`,
  }));
}

function cosignDescriptor(head: OriginManifestHead, tag: CosignTag): ReferrerDescriptor {
  return { mediaType: head.mediaType, digest: head.digest, size: head.size, artifactType: tag.artifactType };
}

/** An index of descriptors, filtered by artifact type where one is given. */
export function referrersIndex(
  descriptors: readonly ReferrerDescriptor[],
  artifactType: string | undefined,
): Omit<OriginList, 'upstream' | 'visibility'> {
  const manifests =
    artifactType === undefined ? descriptors : descriptors.filter((each) => each['artifactType'] === artifactType);
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests };
  return {
    bytes: Buffer.from(JSON.stringify(index)),
    mediaType: MEDIA_TYPES.ociIndex,
    next: undefined,
    filtersApplied: artifactType === undefined ? undefined : 'artifactType',
  };
}

/** The descriptors of an index's bytes; undefined where they are no index. */
export function descriptorsIn(bytes: Buffer): readonly ReferrerDescriptor[] | undefined {
  const manifests = parseJsonObject(bytes)?.['manifests'];
  return Array.isArray(manifests) ? manifests.filter(isDescriptor) : undefined;
}

function isDescriptor(value: unknown): value is ReferrerDescriptor {
  return typeof value === 'object' && value !== null && typeof (value as { digest?: unknown }).digest === 'string';
}
