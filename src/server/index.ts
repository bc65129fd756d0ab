/**
 * The front door: sockets become requests, requests are taken to whoever answers them, replies become bytes.
 *
 * It decides nothing about images: routing says which one is meant, access whether it may be had, the cache what it is.
 * Only reply.ts writes an answer of the registry.
 */
export { createDispatch, type DispatchOptions, type Page } from './dispatch.ts';
