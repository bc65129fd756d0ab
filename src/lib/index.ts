/**
 * Small tools that would make sense in any server: LRU, globs, coalescing, buffers, byte sources.
 *
 * It never knows a word of the registry domain.
 */

export { abortable } from './abortable.ts';
export { BodyBuffers, type BufferPair } from './body-buffers.ts';
export { JsonBoundError, parseBoundedJson, parseBoundedJsonInPieces } from './bounded-json.ts';
export { type BlobReader, type ByteSpan, type DirectReader, ReaderClosedError, WHOLE } from './byte-reader.ts';
export { type ByteSource, byteSourceOf } from './byte-source.ts';
export { clientKey } from './client-key.ts';
export { ConcurrencyLimit } from './concurrency-limit.ts';
export { crashPoint } from './crash-point.ts';
export * as der from './der.ts';
export { drain } from './drain.ts';
export { embeddedText } from './embedded.ts';
export { compileGlob, globCovers, globsMeet } from './glob.ts';
export { decodeHeaderText, trimHeaderText } from './header-text.ts';
export { type HeaderLink, parseLinks } from './link-header.ts';
export { faultOfLook } from './look.ts';
export { Lru } from './lru.ts';
export { mistypedFrom, nearest } from './nearest.ts';
export { atOnce, inTurns, mapInPieces, PIECE, type Pieces } from './pieces.ts';
export { printable, printableLines } from './printable.ts';
export { countParameters, filterQuery, sendableQuery } from './raw-query.ts';
export { Recent } from './recent.ts';
export { ownBytes, SharedBuffers } from './shared-buffers.ts';
export { keyOf, SingleFlight } from './single-flight.ts';
export { startThread } from './thread.ts';
export { continueVia, createPseudonym, loopIn, ownVia, type Via } from './via.ts';
