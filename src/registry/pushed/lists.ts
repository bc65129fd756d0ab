import type { PullThrough } from '../../cache/index.ts';
import type { Hosting, HostingRules } from '../../hosting/index.ts';
import { filterQuery } from '../../lib/index.ts';
import { isMediaType, isOriginFailure, type ListQuery, MEDIA_TYPES, OciError, parseDigest } from '../../oci/index.ts';
import type { PassedGate } from '../../server/index.ts';
import { filteredCatalog, shownBy } from '../catalog.ts';
import { listQuery, passList, sendList } from '../lists.ts';
import type { PathOf, RegistryRequest } from '../request.ts';

const JSON_TYPE = 'application/json';
/** Tags on a page, unless the client asks for fewer. */
const TAGS = 10_000;
/** Repositories on a page, unless the client asks for another number. */
const REPOSITORIES = 1000;

/** `GET` of the tags of a hosted repository. */
export async function answerHostedTags(
  { context, repository, name, path }: RegistryRequest<PathOf<'tags'>>,
  { lists }: Hosting,
): Promise<void> {
  const { limit = TAGS, last: after } = pagedQuery(listQuery(path, context.query));
  const { entries, next } = await lists.tags(repository, { after, limit });
  context.cache = 'HIT';
  sendList(context, name, {
    // As the client spells it: `apps/web` for `/v2/apps/web/`.
    bytes: Buffer.from(JSON.stringify({ name: spelled(name, path.repository), tags: entries })),
    mediaType: JSON_TYPE,
    next: next === undefined ? undefined : pageAfter(next, limit),
    filtersApplied: undefined,
  });
}

function spelled({ addressing: { prefix } }: RegistryRequest['name'], repository: string): string {
  return prefix.slice(prefix.indexOf('/v2/') + '/v2/'.length) + repository;
}

/** `GET` of what refers to a manifest of a hosted repository, whether the manifest is there or not. */
export async function answerHostedReferrers(
  { context, repository, name, path }: RegistryRequest<PathOf<'referrers'>>,
  { lists }: Hosting,
): Promise<void> {
  const parameters = new URLSearchParams(context.query);
  const artifactType = parameters.get('artifactType') || undefined;
  if (artifactType !== undefined && !isMediaType(artifactType)) {
    throw invalid(`artifactType "${artifactType.slice(0, 200)}" is no media type`);
  }
  const last = parameters.get('last');
  const after = last === null ? undefined : parseDigest(last);
  if (last !== null && after === undefined) throw invalid('last is no digest; follow the Link of the page before');
  const { entries, next } = await lists.referrers(repository, path.digest, { after, artifactType });
  const manifests = entries.map(({ digest, mediaType, size, artifactType: type, annotations }) => ({
    mediaType,
    digest,
    size,
    artifactType: type,
    annotations,
  }));
  const filter = artifactType === undefined ? {} : { artifactType };
  context.cache = 'HIT';
  sendList(context, name, {
    bytes: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests })),
    mediaType: MEDIA_TYPES.ociIndex,
    next: next === undefined ? undefined : new URLSearchParams({ ...filter, last: next }).toString(),
    filtersApplied: artifactType === undefined ? undefined : 'artifactType',
  });
}

interface CatalogueSources {
  readonly hosting: Hosting;
  readonly rules: () => HostingRules;
  readonly cache: PullThrough;
}

/** In a link: the hosted repositories have all been listed, and those of the upstream follow. */
const UPSTREAM = 'entrepot-upstream';

/**
 * `GET` of the catalogue of a registry that has hosted repositories: these first, and then those of the upstream, without the names whose
 * home is here.
 */
export async function answerHostedCatalog(
  request: RegistryRequest<PathOf<'catalog'>>,
  gate: PassedGate,
  { hosting, rules, cache }: CatalogueSources,
): Promise<void> {
  const {
    context,
    name,
    path,
    repository: { registry },
  } = request;
  const isHere = (repository: string): boolean => rules().homeOf({ registry, repository }) === 'here';
  const parameters = new URLSearchParams(context.query);
  const { limit = REPOSITORIES, last: after } = pagedQuery(listQuery(path, context.query));
  const hasUpstream = request.name.registry.upstreams.length > 0;
  const isPast = parameters.has(UPSTREAM);
  const send = (repositories: readonly string[], next: string | undefined): void => {
    context.cache = 'HIT';
    const bytes = Buffer.from(JSON.stringify({ repositories }));
    sendList(context, name, { bytes, mediaType: JSON_TYPE, next, filtersApplied: undefined });
  };
  if (limit === 0) return send([], undefined);
  if (!isPast && (after === undefined || !hasUpstream || isHere(after))) {
    const { isFiltered, authorize, principal } = gate;
    const isShown = (repository: { registry: string; repository: string }): boolean => {
      if (!isFiltered) return true;
      const decision = authorize({ principal, action: 'catalog', repository });
      // What is hosted is private.
      return decision.allowed && decision.onlyPublic !== true;
    };
    const { entries, next } = await hosting.lists.repositories(registry, { after, limit, isShown });
    if (next !== undefined) return send(entries, pageAfter(next, limit));
    if (!hasUpstream) return send(entries, undefined);
    if (entries.length > 0) return send(entries, new URLSearchParams({ n: String(limit), [UPSTREAM]: '' }).toString());
  }
  // What a client has read so far is hosted, and its last name means nothing to the upstream.
  const isOurs = (parameter: string): boolean =>
    parameter === UPSTREAM || (parameter === 'last' && after !== undefined && isHere(after));
  const first = listQuery(
    path,
    filterQuery(context.query, (parameter) => !isOurs(parameter)),
  );
  const shown = shownBy(request, cache, gate);
  const isShown = async (repository: string): Promise<boolean> =>
    !isHere(repository) && (!gate.isFiltered || (await shown(repository)));
  try {
    const list = await filteredCatalog(request, { first, isShown });
    const next = list.next === undefined ? undefined : `${list.next}&${UPSTREAM}=`;
    passList(context, name, { ...list, next });
  } catch (error) {
    // Docker Hub has no catalogue, for one: what is hosted is all then.
    const isWithout = isOriginFailure(error) && (error.kind === 'not-found' || error.kind === 'denied');
    if (!isPast || !isWithout) throw error;
    send([], undefined);
  }
}

function pagedQuery(query: ListQuery): { readonly limit?: number; readonly last?: string } {
  return query.kind === 'referrers' ? {} : query;
}

function pageAfter(last: string, limit: number): string {
  return new URLSearchParams({ n: String(limit), last }).toString();
}

function invalid(message: string): OciError {
  return new OciError('UNSUPPORTED', message, { status: 400 });
}
