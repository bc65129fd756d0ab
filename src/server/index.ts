/**
 * The front door: sockets become requests, requests are taken to whoever answers them, replies become bytes.
 *
 * It decides nothing about images: routing says which one is meant, access whether it may be had, the cache what it is.
 * Only reply.ts writes an answer of the registry.
 */

export { createDispatch } from './dispatch.ts';
export type { Door, DoorRequest } from './door.ts';
export {
  clientInfoOf,
  compileTrustedProxies,
  createServer,
  endToEndHeaders,
  formatWarning,
  type Headers,
  IncomingBody,
  isHostHeader,
  isLoopback,
  nextRequestId,
  RequestContext,
  type RequestHandler,
  replyBytes,
  replyEmpty,
  replyError,
  replyStream,
  replyThrough,
  request,
  STATUS_CODES,
  setClientInfo,
  setEntryPoint,
} from './exchange/index.ts';
export { Admission, type AdmissionLimits, OverloadError } from './limits/index.ts';
export {
  createFrontDoor,
  endSocketWith,
  type Forward,
  type ForwardTarget,
  type FrontDoor,
  type FrontDoorOptions,
  ListenError,
  type ListenerAddress,
  type ListenerSpec,
  listenOnSocketPath,
  type OpenedTunnel,
  type TunnelDoor,
} from './listener/index.ts';
export { anonymousToken, createHealthDoor, createPageDoor, type Page, type PageRow } from './page.ts';
export { requireReading, writeRefused } from './reading.ts';
export { readTlsFiles } from './tls/index.ts';
