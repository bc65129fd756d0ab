/**
 * The registry API (OCI distribution specification): a request becomes an answer from the cache.
 *
 * Each kind of request is one row with its action and its handler. It never chooses an upstream and never decides who may
 * read.
 */
export { createRegistryDoor } from './handler.ts';
export type { PushedRows, Row } from './row.ts';

/** The rows of what can be pushed to: what a server that hosts nothing does not load. */
export const loadPushedRows = (): Promise<typeof import('./pushed/index.ts')> => import('./pushed/index.ts');

/** The token service: what a server without `access:` does not load. */
export const loadTokenDoor = (): Promise<typeof import('./token-door.ts')> => import('./token-door.ts');
