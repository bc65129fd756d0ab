/**
 * Answers of other sites, kept by URL as HTTP allows (RFC 9111): validators, variants, ranges.
 *
 * It never rewrites an answer and never decides which site a path belongs to.
 */
export { UrlCache } from './cache.ts';
export { evaluateConditions } from './conditions.ts';
export { headersBehind } from './policy.ts';
export type { KeptUrl, UrlAnswer, UrlKey, UrlOpen, UrlRequest, UrlResponse } from './request.ts';
