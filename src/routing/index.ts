/**
 * What is asked for, and from whom: a request's host, path and `ns` become a registry and a path without it.
 *
 * Names are keys into the catalogue of configured registries, never addresses to dial. It never asks another registry,
 * and never looks at who asks.
 */
export type { Catalogue, InternUpstream } from './catalogue.ts';
export { composeCatalogue, type RegistryOptions } from './compose-catalogue.ts';
export { parseImagePattern } from './image-pattern.ts';
export { KNOWN_REGISTRIES } from './known-registries.ts';
export { nextLink } from './list-link.ts';
export { qualifyRepository, type ResolvedName, registryByOwnHost, resolveName } from './name.ts';
export { MAX_REGISTRY_MAP_LENGTH, parseRegistryMap, type RegistryMap } from './registry-map.ts';
export type { UpstreamOptions } from './upstream-options.ts';
