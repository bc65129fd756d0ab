/**
 * The HTTP client: pooled connections, one exchange at a time on each, bodies without a buffer per chunk.
 *
 * It never follows a redirect, never caches, and repeats a request only where a kept connection had been closed.
 */

export { askOnce, type ExactAnswer, type Reads } from './ask-once.ts';
export { BufferPool, ByteRing } from './byte-ring.ts';
export { createHttpClient } from './client.ts';
