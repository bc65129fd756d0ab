/**
 * One request and its response: who sent it, its headers, its body, the reply.
 *
 * It never knows what a request is about.
 */

export {
  clientInfoOf,
  clientKey,
  compileTrustedProxies,
  identifyClient,
  introductionOf,
  setClientInfo,
  type TrustedProxies,
} from './client-info.ts';
export { ClientLeftError, nextRequestId, RequestContext, setEntryPoint } from './context.ts';
export { PIECE } from './direct-body.ts';
export { isLoopback } from './forwarded.ts';
export { endToEndHeaders } from './hop-by-hop.ts';
export { faultOfHost, isHostHeader } from './host-header.ts';
export { IncomingBody } from './incoming-body.ts';
export { createServer, request, STATUS_CODES } from './node-http.ts';
export { type Headers, replyBytes, replyEmpty, replyError, replyStream, replyThrough } from './reply.ts';
export type { RequestHandler } from './request-handler.ts';
export { formatWarning } from './warning.ts';
