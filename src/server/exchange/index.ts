/**
 * One request and its response: the client behind it, its headers, its body, the reply.
 *
 * It never knows what a request is about.
 */

export { hasBody, isBodyEmpty } from './announced-body.ts';
export {
  clientInfoOf,
  compileTrustedProxies,
  connectionInfoOf,
  identifyClient,
  setClientInfo,
  type TrustedProxies,
} from './client-info.ts';
export { ClientLeftError, nextRequestId, RequestContext } from './context.ts';
export { PIECE } from './direct-body.ts';
export { isLoopback } from './forwarded.ts';
export { endToEndHeaders, isHopByHop } from './hop-by-hop.ts';
export { faultOfHost, isHostHeader } from './host-header.ts';
export { bodyOf, discardBody } from './incoming-body.ts';
export { createServer, request, STATUS_CODES } from './node-http.ts';
export { PartsReader } from './parts-reader.ts';
export { readBody } from './read-body.ts';
export { replyRefusal, TextRefusal } from './refusal.ts';
export { type Headers, replyBytes, replyEmpty, replyError, replyStream, replyThrough } from './reply.ts';
export type { RequestHandler } from './request-handler.ts';
export { isInert, SANDBOX, sandboxed } from './sandbox.ts';
export { formatWarning } from './warning.ts';
