/**
 * DNS, sockets, TLS, and single HTTP exchanges with other servers.
 *
 * It holds no policy but the address policy it is given. It never follows a redirect, never caches, and never retries, except
 * that a request sent on a pooled connection which the server was just closing is sent once more.
 */

export {
  createDial,
  type Dial,
  type Dialled,
  type DialMoment,
  type DialTarget,
  isAllowed,
  isPublicAddress,
  outboundProxyFor,
  plainHost,
  readInto,
} from './dial/index.ts';
export { createResolver, type Resolver } from './dns/index.ts';
export { hrefOf, isSendableHost, readReference, type WrittenUrl } from './head/index.ts';
export { askOnce, BufferPool, ByteRing, createHttpClient, type ExactAnswer, type Reads } from './http/index.ts';
export {
  type AddressPolicy,
  type HttpClient,
  type HttpClientOptions,
  HttpError,
  type HttpErrorCode,
  type HttpHead,
  type HttpReply,
  type HttpRequest,
  type HttpStream,
  type RequestBody,
  type ResponseMeter,
} from './http-types.ts';
