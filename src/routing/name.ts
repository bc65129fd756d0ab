import { notAnApiPath, OciError, type RegistrySpec, splitRegistryPath } from '../oci/index.ts';
import type { Catalogue } from './catalogue.ts';
import { canonicalHost, isLocalHost, looksLikeRegistry, withoutPort } from './host.ts';

/** The parts of a request that can name a registry, as they came. */
export interface NameRequest {
  /** The Host header. */
  readonly host: string | undefined;
  /** The raw path, not decoded, without the query. */
  readonly path: string;
  /** The value of `?ns=`, decoded. */
  readonly ns: string | undefined;
}

/** How the client itself writes its requests, so that what is sent back to it can be written the same way. */
export interface Addressing {
  /** What stands in front of the repository: `/v2/`, `/v2/ghcr.io/`, `/ghcr/v2/`. */
  readonly prefix: string;
  /** What it sent as `?ns=`; to be echoed in `OCI-Namespace`. */
  readonly ns: string | undefined;
}

/** Which registry a request is for, and what is left of its path. */
export interface ResolvedName {
  readonly registry: RegistrySpec;
  /** `/v2/…` without a registry in it, for `parseRegistryPath`. */
  readonly path: string;
  readonly addressing: Addressing;
  /** What decided it, in the order of precedence. */
  readonly namedBy: 'ns' | 'host' | 'prefix' | 'path' | 'default';
}

/**
 * Finds the registry a request names: `?ns=`, then the host name, then what stands in front of `/v2/`, then the first
 * component of the name, then the default. docs/naming.md has the table; what this does is to be documented there.
 *
 * @throws {OciError} NAME_UNKNOWN (404) where a registry is named that is not in the catalogue; UNSUPPORTED (404) where
 * the path is none of the API's; NAME_INVALID (400) where no name can be in it
 */
export function resolveName(catalogue: Catalogue, request: NameRequest): ResolvedName {
  const { alias, path } = cutAlias(request.path);
  const split = splitRegistryPath(path);
  if (split === undefined) throw notAnApiPath();
  const front = alias === undefined ? '/v2/' : `/${alias}/v2/`;

  // An unknown word in front of /v2/ is an error even where ns or the host decides: nothing is served there.
  const byAlias = alias === undefined ? undefined : orUnknown(catalogue.byAlias(alias), alias);
  const byNs = request.ns === undefined ? undefined : orUnknown(catalogue.byName(request.ns), request.ns);
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

/** The repository's name as the registry itself knows it: `nginx` is `library/nginx` on Docker Hub. */
export function qualifyRepository(registry: RegistrySpec, repository: string): string {
  return registry.library && !repository.includes('/') ? `library/${repository}` : repository;
}

/** Takes the word off that stands in front of `/v2/`. */
function cutAlias(path: string): { readonly alias: string | undefined; readonly path: string } {
  if (path === '/v2' || path.startsWith('/v2/')) return { alias: undefined, path };
  const end = path.indexOf('/', 1);
  const rest = path.slice(end);
  if (end < 2 || !(rest === '/v2' || rest.startsWith('/v2/'))) throw notAnApiPath();
  return { alias: path.slice(1, end), path: rest };
}

/** Undefined where the host says where this server is, and not what is wanted. */
function registryOfHost(catalogue: Catalogue, header: string | undefined): RegistrySpec | undefined {
  const host = header === undefined ? undefined : canonicalHost(header);
  if (host === undefined) return undefined;
  const name = withoutPort(host);
  const suffix = catalogue.domainSuffix;
  if (suffix !== undefined && name === suffix) return undefined;
  if (suffix !== undefined && name.endsWith(`.${suffix}`)) {
    const alias = name.slice(0, -suffix.length - 1);
    return orUnknown(catalogue.byAlias(alias), alias);
  }
  return registryByOwnHost(catalogue, host);
}

/**
 * The registry that a host is, where a client asked for it by that: by DNS or a forward proxy that lead its own name here.
 * With its port where that is configured, else without. Never this machine, and never by `allow_any`.
 */
export function registryByOwnHost(catalogue: Catalogue, host: string): RegistrySpec | undefined {
  return isLocalHost(host) ? undefined : (catalogue.byHost(host) ?? catalogue.byHost(withoutPort(host)));
}

/**
 * The registry that the first component of the name is, where it is one and a repository (or `_catalog`) follows it.
 *
 * Where the registry is named otherwise already, only its own host is taken off, which some clients' configurations
 * repeat in the path (`https://mirror/v2/ghcr.io` with `?ns=ghcr.io`); anything else there is part of the repository.
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
    return looksLikeRegistry(first) && catalogue.byPathName(first)?.name === named.name ? named : undefined;
  }
  const found = catalogue.byPathName(first);
  // What could be no host at all is left for the grammar of names to refuse.
  return looksLikeRegistry(first) && canonicalHost(first) !== undefined ? orUnknown(found, first) : found;
}

function firstComponent(name: string): string {
  const slash = name.indexOf('/');
  return slash === -1 ? name : name.slice(0, slash);
}

function orUnknown(registry: RegistrySpec | undefined, name: string): RegistrySpec {
  if (registry !== undefined) return registry;
  throw new OciError(
    'NAME_UNKNOWN',
    `unknown registry ${JSON.stringify(name.slice(0, 100))}; /help lists those known here`,
  );
}
