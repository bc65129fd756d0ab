/** First path segments that this server serves itself. */
export const OWN_PATHS: ReadonlySet<string> = new Set([
  '.well-known',
  '_rmirror',
  'auth',
  'ca.crt',
  'health',
  'healthz',
  'help',
  'metrics',
  'readyz',
  'token',
  'v2',
]);

/** First path segments that are kept for this server's own API and console: nothing else is served under them. */
export const RESERVED_PATHS: ReadonlySet<string> = new Set(['api', 'ui']);

/** Whether no mirror route may begin with this segment of a path. */
export function isOwnPath(segment: string): boolean {
  return OWN_PATHS.has(segment) || RESERVED_PATHS.has(segment);
}
