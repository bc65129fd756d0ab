/**
 * What is asked for, and from whom: a request's host, path and `ns` become a registry and a path without it.
 *
 * Names are keys into the catalogue of configured registries, never addresses to dial. It never asks another registry,
 * and never looks at who asks.
 */
export type { AllowAny, Catalogue, InternUpstream } from './catalogue.ts';
export * from './compose-catalogue.ts';
export * from './image-pattern.ts';
export { KNOWN_HOST_PATTERNS, KNOWN_REGISTRIES, type KnownRegistry } from './known-registries.ts';
export * from './list-link.ts';
export * from './mirror-routes.ts';
export * from './name.ts';
export { MAX_REGISTRY_MAP_LENGTH, parseRegistryMap, type RegistryMap, type RegistryMapEntry } from './registry-map.ts';
export * from './rewrite.ts';
export type { UpstreamOptions } from './upstream-options.ts';
