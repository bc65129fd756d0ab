/**
 * The vocabulary: digests, references, repository names, manifests, ranges, request paths, errors, what a registry is.
 *
 * Everything here is a value or a pure function. It never does I/O, and it never knows who asks.
 */
export * from './digest.ts';
export * from './error.ts';
export * from './manifest.ts';
export * from './media-types.ts';
export * from './mirror-spec.ts';
export * from './path.ts';
export * from './range.ts';
export * from './reference.ts';
export * from './registry-spec.ts';
