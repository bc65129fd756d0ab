import { mistypedFrom } from '../lib/index.ts';
import { decodeRegistryPath, notAnApiPath, OciError, type RegistrySpec, splitRegistryPath } from '../oci/index.ts';
import type { Catalogue } from './catalogue.ts';
import { canonicalHost, isLocalHost, looksLikeRegistry, withoutPort } from './host.ts';

/** The parts of a request that can name a registry, unchanged. */
export interface NameRequest {
  /** The Host header. */
  readonly host: string | undefined;
  /** The raw path, not decoded, without the query. */
  readonly path: string;
  /** The value of `?ns=`, decoded. */
  readonly ns: string | undefined;
}

/** How the client addressed the registry, so that links in responses use the same form. */
export interface Addressing {
  /** The path before the repository: `/v2/`, `/v2/ghcr.io/`, `/ghcr/v2/`. */
  readonly prefix: string;
  /** Its `?ns=`, to be echoed in `OCI-Namespace`. */
  readonly ns: string | undefined;
}

/** The registry of a request, and the rest of its path. */
export interface ResolvedName {
  readonly registry: RegistrySpec;
  /** `/v2/…`, decoded and without a registry in it, for `parseRegistryPath`. */
  readonly path: string;
  readonly addressing: Addressing;
  /** The part of the request that named the registry, in order of precedence. */
  readonly namedBy: 'ns' | 'host' | 'prefix' | 'path' | 'default';
}

/**
 * Finds the registry that a request names: by `?ns=`, else by the host name, the word before `/v2/`, the first component of
 * the repository, or the default. docs/naming.md documents the rules.
 *
 * @throws {OciError} NAME_UNKNOWN (404) for a registry that is not in the catalogue; UNSUPPORTED (404) for a path outside
 * the API; NAME_INVALID (400) for an invalid name
 */
export function resolveName(catalogue: Catalogue, request: NameRequest): ResolvedName {
  const cut = cutAlias(request.path);
  const { alias } = cut;
  const path = decodeRegistryPath(cut.path);
  const split = splitRegistryPath(path);
  if (split === undefined) throw notAnApiPath();
  const front = alias === undefined ? '/v2/' : `/${alias}/v2/`;

  // An unknown word before /v2/ is an error even if ns or the host names the registry.
  const byAlias = alias === undefined ? undefined : orUnknown(catalogue.byAlias(alias), { name: alias, catalogue });
  const byNs =
    request.ns === undefined
      ? undefined
      : orUnknown(catalogue.byName(request.ns), { name: request.ns, catalogue, where: BY_NS });
  const byHost = registryOfHost(catalogue, request.host);
  const named = byNs ?? byHost ?? byAlias;

  const inPath = registryInPath(catalogue, split, named);
  const isStripped = inPath !== undefined;
  const first = isStripped ? firstComponent(split.name) : '';
  return {
    registry: named ?? inPath ?? catalogue.default,
    path: isStripped ? `/v2/${path.slice('/v2/'.length + first.length + 1)}` : path === '/v2' ? '/v2/' : path,
    addressing: { prefix: isStripped ? `${front}${first}/` : front, ns: request.ns },
    namedBy: byNs ? 'ns' : byHost ? 'host' : byAlias ? 'prefix' : inPath ? 'path' : 'default',
  };
}

/** The repository's name at the registry itself: `nginx` is `library/nginx` on Docker Hub. */
export function qualifyRepository(registry: RegistrySpec, repository: string): string {
  return registry.library && !repository.includes('/') ? `library/${repository}` : repository;
}

/** Splits off the word before `/v2/`. */
function cutAlias(path: string): { readonly alias: string | undefined; readonly path: string } {
  if (path === '/v2' || path.startsWith('/v2/')) return { alias: undefined, path };
  const end = path.indexOf('/', 1);
  const rest = path.slice(end);
  if (end < 2 || !(rest === '/v2' || rest.startsWith('/v2/'))) throw notAnApiPath();
  return { alias: path.slice(1, end), path: rest };
}

/** Undefined if the host names this server instead of a registry. */
function registryOfHost(catalogue: Catalogue, header: string | undefined): RegistrySpec | undefined {
  const host = header === undefined ? undefined : canonicalHost(header);
  if (host === undefined) return undefined;
  const name = withoutPort(host);
  const suffix = catalogue.domainSuffix;
  if (suffix !== undefined && name === suffix) return undefined;
  if (suffix !== undefined && name.endsWith(`.${suffix}`)) {
    const alias = name.slice(0, -suffix.length - 1);
    return orUnknown(catalogue.byAlias(alias), { name: alias, catalogue });
  }
  return registryByOwnHost(catalogue, host);
}

/**
 * The registry with this host, for clients that DNS or a forward proxy brings here under the registry's own name. Matched
 * with its port if that is configured, else without. Ignores `localhost`, addresses and `allow_any`.
 */
export function registryByOwnHost(catalogue: Catalogue, host: string): RegistrySpec | undefined {
  return isLocalHost(host) ? undefined : (catalogue.byHost(host) ?? catalogue.byHost(withoutPort(host)));
}

/**
 * The registry named by the first component, if a repository (or `_catalog`) follows it.
 *
 * If the registry is already named by other means, only its own names count, which some client configurations repeat in the
 * path (`https://mirror/v2/ghcr.io` with `?ns=ghcr.io`); any other component belongs to the repository.
 */
function registryInPath(
  catalogue: Catalogue,
  { name, operation }: { readonly name: string; readonly operation: string },
  named: RegistrySpec | undefined,
): RegistrySpec | undefined {
  const first = firstComponent(name);
  const isFollowed = first !== name || (name !== '' && operation === '_catalog');
  if (!isFollowed) return undefined;
  if (named !== undefined) {
    return catalogue.byPathName(first)?.name === named.name ? named : undefined;
  }
  const found = catalogue.byPathName(first);
  // A component that cannot be a host is rejected by the grammar of repository names.
  return looksLikeRegistry(first) && canonicalHost(first) !== undefined
    ? orUnknown(found, { name: first, catalogue })
    : found;
}

function firstComponent(name: string): string {
  const slash = name.indexOf('/');
  return slash === -1 ? name : name.slice(0, slash);
}

const BY_NS = ' in the query (?ns=), which decides over host and path';

function orUnknown(
  registry: RegistrySpec | undefined,
  asked: { readonly name: string; readonly catalogue: Catalogue; readonly where?: string },
): RegistrySpec {
  if (registry !== undefined) return registry;
  const { name, catalogue, where = '' } = asked;
  const names = catalogue.list().flatMap((each) => [each.name, ...each.aliases]);
  const meant = mistypedFrom(name.toLowerCase(), names);
  const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  throw new OciError(
    'NAME_UNKNOWN',
    `unknown registry ${JSON.stringify(name.slice(0, 100))}${where}${hint}; /help lists those known here`,
  );
}
