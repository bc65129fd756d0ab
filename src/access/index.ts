/**
 * The gate: whether a principal may do what a request asks for.
 *
 * It decides from the principal, the action and the repository alone. It never looks at the cache, at a URL or at a
 * header, and it never answers the client itself.
 */
export { type AccessRequest, type Action, authorize } from './gate.ts';
export { ANONYMOUS } from './principal.ts';
