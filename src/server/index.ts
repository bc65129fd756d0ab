/**
 * HTTP: sockets become requests, dispatch takes each request to its door, replies become bytes.
 *
 * It never knows anything of images: the doors of other rooms do. Only `exchange/reply.ts` writes an answer of the registry
 * or of a mirror route.
 */

export { audienceOf, BASIC, type OwnNames, ownBase } from './challenge.ts';
export { createDispatch } from './dispatch.ts';
export type { Door, PassedGate } from './door.ts';
export {
  bodyOf,
  clientInfoOf,
  compileTrustedProxies,
  createServer,
  discardBody,
  endToEndHeaders,
  formatWarning,
  type Headers,
  hasBody,
  isHopByHop,
  isHostHeader,
  isInert,
  isLoopback,
  nextRequestId,
  PartsReader,
  RequestContext,
  type RequestHandler,
  readBody,
  replyBytes,
  replyEmpty,
  replyError,
  replyRefusal,
  replyStream,
  replyThrough,
  request,
  SANDBOX,
  STATUS_CODES,
  sandboxed,
  setClientInfo,
  TextRefusal,
} from './exchange/index.ts';
export { createHealthDoor } from './health.ts';
export { Admission, type AdmissionLimits, OverloadError } from './limits/index.ts';
export {
  endSocketWith,
  type Forward,
  type ForwardTarget,
  FrontDoor,
  type FrontDoorOptions,
  type HeldTunnel,
  ListenError,
  type ListenerAddress,
  type ListenerSpec,
  listenOnSocketPath,
  type OpenedTunnel,
  type TunnelDoor,
} from './listener/index.ts';
export { anonymousToken, createPageDoor, type Page, type PageRow } from './page.ts';
export { listedUrl, type PublicUrls, publicUrlFor } from './public-url.ts';
export { requireReading, writeRefused } from './reading.ts';
export { readTlsFiles, type TlsFiles } from './tls/index.ts';
