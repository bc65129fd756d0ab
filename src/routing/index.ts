/**
 * Resolves the host, path and `?ns=` of a request to a registry, and to a path without the registry.
 *
 * Names are keys into the catalogue of registries, never addresses to dial. It never sends a request, and never depends on
 * the client.
 */
export type { Catalogue, CompleteUpstream } from './catalogue.ts';
export { type CatalogueOptions, composeCatalogue } from './compose-catalogue.ts';
export { parseImagePattern, parseRepositoryPattern, parseTagPattern } from './image-pattern.ts';
export { KNOWN_REGISTRIES } from './known-registries.ts';
export { nextLink } from './list-link.ts';
export { qualifyRepository, type ResolvedName, registryByOwnHost, resolveName } from './name.ts';
export { withoutOwnHost } from './own-host.ts';
export { MAX_REGISTRY_MAP_LENGTH, parseRegistryMap, type RegistryMap } from './registry-map.ts';
