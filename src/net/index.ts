/**
 * Below HTTP: names, sockets, TLS, and one exchange at a time with another server.
 *
 * It holds no policy but the address policy it is given: no redirect is followed, nothing is retried or kept, except that
 * a request which met a kept connection in the moment it was closed is sent once more.
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
export { isSendableHost } from './head/index.ts';
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
} from './http-types.ts';
