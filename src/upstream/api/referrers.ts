import { abortable, SingleFlight } from '../../lib/index.ts';
import { type ListQuery, MEDIA_TYPES, type OriginList } from '../../oci/index.ts';
import { withDeadline } from '../deadline.ts';
import { UpstreamError } from '../error.ts';
import { parseJsonObject } from '../json.ts';
import type { Upstream } from '../upstream.ts';
import { descriptorsIn, type Found, type ReferrerDescriptor, readFallback } from './fallback-referrers.ts';
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
  if (status === 200 && descriptorsIn(body) !== undefined) {
    const list = readList(upstream, request, answer);
    // The tag is read once, for the last page: its entries may stand on any page before.
    if (list.next !== undefined) return list;
    // The upstream's own list is an answer, also while the tag cannot be read.
    const whole = merged(list, query, await tagged().catch(orNone));
    if (query.page === undefined && descriptorsIn(whole.bytes)?.length === 0) throw new NoReferrersError(nothing, why);
    return whole;
  }
  const refusal = status === 200 ? undefined : await upstream.failure(request, answer);
  if (refusal?.temporary === true || refusal?.kind === 'loop') throw refusal;
  const found = await tagged();
  if (found === undefined || found.descriptors.length === 0) {
    throw refusal?.kind === 'denied' ? refusal : new UpstreamError(nothing, why);
  }
  return { ...referrersIndex(found.descriptors, artifactType), upstream: upstream.name, visibility: found.visibility };
}

/** The list where no upstream has referrers: by the specification an empty index, not 404. */
export function noReferrers(asked: ReferrersAsked['query']): Omit<OriginList, 'upstream' | 'visibility'> {
  return referrersIndex([], asked.artifactType);
}

function orNone(error: unknown): undefined {
  if (error instanceof UpstreamError) return undefined;
  throw error;
}

/** The upstream's list with what it lacks of the tag's; untouched where it lacks nothing. */
function merged(list: OriginList, { artifactType }: ReferrersAsked['query'], found: Found | undefined): OriginList {
  const own = descriptorsIn(list.bytes) ?? [];
  const listed = new Set(own.map(({ digest }) => digest));
  const lacking = (found?.descriptors ?? []).filter(({ digest }) => !listed.has(digest));
  if (lacking.length === 0) return list;
  return {
    ...list,
    ...referrersIndex([...own, ...lacking], artifactType, parseJsonObject(list.bytes)),
    visibility: found?.visibility === 'private' ? 'private' : list.visibility,
  };
}

/** An index of descriptors, filtered by artifact type where one is given. */
export function referrersIndex(
  descriptors: readonly ReferrerDescriptor[],
  artifactType: string | undefined,
  more: Readonly<Record<string, unknown>> = {},
): Omit<OriginList, 'upstream' | 'visibility'> {
  const manifests =
    artifactType === undefined ? descriptors : descriptors.filter((each) => each['artifactType'] === artifactType);
  const index = { ...more, schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests };
  return {
    bytes: Buffer.from(JSON.stringify(index)),
    mediaType: MEDIA_TYPES.ociIndex,
    next: undefined,
    filtersApplied: artifactType === undefined ? undefined : 'artifactType',
  };
}
