/**
 * Where a redirect may lead, and what of it the requests of one transfer share.
 *
 * It never sends a request, and a URL that it keeps is in memory alone.
 */

export { decideRedirect, isRedirect, needsNoCredential } from './redirect.ts';
export { type RedirectTarget, type SharedTarget, SharedTargets } from './redirect-target.ts';
