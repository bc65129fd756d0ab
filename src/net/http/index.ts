/**
 * The HTTP client: pooled connections, one exchange at a time on each, bodies without a buffer per chunk.
 *
 * It never follows a redirect, never caches, and never repeats a request, except where the server closed a pooled connection.
 */

export { askOnce, type ExactAnswer, type Reads } from './ask-once.ts';
export { BufferPool, ByteRing } from './byte-ring.ts';
export { createHttpClient } from './client.ts';
