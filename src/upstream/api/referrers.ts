import { abortable, atOnce, inTurns, mapInPieces, type Pieces, SingleFlight } from '../../lib/index.ts';
import { type ListQuery, MEDIA_TYPES, type OriginList } from '../../oci/index.ts';
import { withDeadline } from '../deadline.ts';
import { UpstreamError } from '../error.ts';
import type { Upstream } from '../upstream.ts';
import { type Found, type ReferrerDescriptor, readFallback, readIndex, type SentIndex } from './fallback-referrers.ts';
import { type ListAsked, listQuestion, MAX_LIST_BYTES, readList } from './lists.ts';

/** Milliseconds for a list with the manifests that are read for it. */
const WITHIN = 60_000;

/** The upstream's own list is empty, and so is the fallback tag's. */
export class NoReferrersError extends UpstreamError {}

const flights = new WeakMap<Upstream, SingleFlight<OriginList>>();

export type ReferrersAsked = ListAsked<Extract<ListQuery, { kind: 'referrers' }>>;

/**
 * The manifests whose `subject` is a digest (distribution-spec, "Listing Referrers").
 *
 * The upstream's own list, and what clients listed under the fallback tag, where they keep it for registries without such a
 * list: an artifact that was pushed before a registry had one stands there alone. Where the upstream has no list (404,
 * GHCR's 303 to a missing page, any other 4xx), the tag's is the whole. Cosign's tags (`.sig`) are no referrers: cosign asks
 * for them itself.
 *
 * One question is asked for all requests that come meanwhile and have passed as many servers; see `OriginSource.hops`.
 *
 * @throws {NoReferrersError} where the upstream's own list is empty: the next upstream may have some
 * @throws {UpstreamError} `not-found` where it has no list, and the tag has none
 */
export function listReferrers(upstream: Upstream, asked: ReferrersAsked): Promise<OriginList> {
  const { repository, query, via, signal } = asked;
  const late = (): Error =>
    new UpstreamError(`${upstream.name} did not send the referrers of ${query.digest} within ${WITHIN / 1000} s`, {
      kind: 'unavailable',
      upstream: upstream.name,
    });
  const flight = flights.get(upstream) ?? new SingleFlight<OriginList>();
  flights.set(upstream, flight);
  const key = JSON.stringify([repository, query.digest, query.artifactType, query.page, via?.hops]);
  const reading = flight.run(key, () =>
    withDeadline((own) => ask(upstream, { repository, query, via, signal: own }), { milliseconds: WITHIN, late }),
  );
  return abortable(reading, signal);
}

type SharedAsked = ReferrersAsked & { readonly signal: AbortSignal };

async function ask(upstream: Upstream, asked: SharedAsked): Promise<OriginList> {
  const { repository, query, via, signal } = asked;
  const { digest, artifactType } = query;
  const request = { ...listQuestion(asked), follow: (status: number) => status !== 303 };
  const answer = await upstream.fetch(request, MAX_LIST_BYTES);
  const { status, body } = answer.reply;
  const tagged = (): Promise<Found | undefined> => readFallback(upstream, { repository, digest, via }, signal);
  const nothing = `${upstream.name} has no referrers of ${digest}`;
  const why = { kind: 'not-found', upstream: upstream.name } as const;
  const index = status === 200 ? await inTurns(readIndex(body)) : undefined;
  if (index !== undefined) {
    const list = readList(upstream, request, answer);
    // The tag is read once, for the last page: its entries may stand on any page before.
    if (list.next !== undefined) return list;
    // The upstream's own list is an answer, also while the tag cannot be read.
    const whole = merged(index, query, await tagged().catch(orNone));
    if (query.page === undefined && whole.descriptors.length === 0) throw new NoReferrersError(nothing, why);
    if (!whole.isChanged) return list;
    const visibility = whole.isPrivate ? 'private' : list.visibility;
    const bytes = referrersIndex(whole.descriptors, query.artifactType, index.json);
    return { ...list, ...(await inTurns(bytes)), visibility };
  }
  const refusal = status === 200 ? undefined : await upstream.failure(request, answer);
  // 501 Not Implemented is no failure: this registry has no such list (RFC 9110 §15.6.2).
  if (status !== 501 && (refusal?.temporary === true || refusal?.kind === 'loop')) throw refusal;
  const found = await tagged();
  if (found === undefined || found.descriptors.length === 0) {
    throw refusal?.kind === 'denied' ? refusal : new UpstreamError(nothing, why);
  }
  const list = await inTurns(referrersIndex(ofType(found.descriptors, artifactType), artifactType));
  return { ...list, upstream: upstream.name, visibility: found.visibility };
}

/** The list where no upstream has referrers: by the specification an empty index, not 404. */
export function noReferrers(asked: ReferrersAsked['query']): Omit<OriginList, 'upstream' | 'visibility'> {
  return atOnce(referrersIndex([], asked.artifactType));
}

function orNone(error: unknown): undefined {
  if (error instanceof UpstreamError) return undefined;
  throw error;
}

/** The upstream's list with what it lacks of the tag's, filtered; its own stays as it came where it lacks nothing. */
function merged(
  { descriptors: own }: SentIndex,
  { artifactType }: ReferrersAsked['query'],
  found: Found | undefined,
): { readonly descriptors: readonly ReferrerDescriptor[]; readonly isChanged: boolean; readonly isPrivate: boolean } {
  const listed = new Set(own.map(({ digest }) => digest));
  const lacking = (found?.descriptors ?? []).filter(({ digest }) => !listed.has(digest));
  if (lacking.length === 0) return { descriptors: own, isChanged: false, isPrivate: false };
  const descriptors = ofType([...own, ...lacking], artifactType);
  return { descriptors, isChanged: true, isPrivate: found?.visibility === 'private' };
}

function ofType(
  descriptors: readonly ReferrerDescriptor[],
  artifactType: string | undefined,
): readonly ReferrerDescriptor[] {
  if (artifactType === undefined) return descriptors;
  return descriptors.filter((each) => each['artifactType'] === artifactType);
}

/**
 * An index of descriptors. @param artifactType by which they were filtered
 */
export function* referrersIndex(
  descriptors: readonly ReferrerDescriptor[],
  artifactType: string | undefined,
  sent: Readonly<Record<string, unknown>> = {},
): Pieces<Omit<OriginList, 'upstream' | 'visibility'>> {
  const { manifests: _, ...more } = sent;
  const head = JSON.stringify({ ...more, schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex });
  const entries = yield* mapInPieces(descriptors, (each) => JSON.stringify(each));
  return {
    bytes: Buffer.from(`${head.slice(0, -1)},"manifests":[${entries.join(',')}]}`),
    mediaType: MEDIA_TYPES.ociIndex,
    next: undefined,
    filtersApplied: artifactType === undefined ? undefined : 'artifactType',
  };
}
