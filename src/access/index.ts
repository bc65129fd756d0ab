/**
 * May they: who asks, and whether the answer may be given.
 *
 * It decides from the principal, the action and the repository alone. It never looks at the cache, at a URL or at a
 * header, and it never answers the client itself.
 */
export * from './gate.ts';
export * from './principal.ts';
