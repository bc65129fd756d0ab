/**
 * Below HTTP: names, sockets, TLS, and one exchange at a time with another server.
 *
 * It holds no policy but the address policy it is given: no redirect is followed, nothing is retried or kept, except that
 * a request which met a kept connection in the moment it was closed is sent once more.
 */
export { isAllowed, isPublicAddress, plainHost } from './address-policy.ts';
export { type AskOnceOptions, askOnce, type ExactAnswer, type ExactRequest, type Reads } from './ask-once.ts';
export {
  type AuthorityFiles,
  authorityFilesIn,
  findOrWriteAuthority,
  readAuthority,
  readAuthorityCertificate,
  writeAuthority,
} from './authority-files.ts';
export { type Authority, AuthorityError, createAuthority, openAuthority, type PemPair } from './certificates.ts';
export { createDial, type Dial, type Dialled, type DialTarget } from './dial.ts';
export type { DialMoment, DialTrace } from './dial-trace.ts';
export { createResolver, type Resolver, type ResolverOptions } from './dns/resolver.ts';
export * from './http.ts';
export { createHttpClient } from './http-client.ts';
export { LeafCertificates } from './leaf-certificates.ts';
export { outboundProxyFor } from './outbound-proxy.ts';
export { Relay, type RelayEnd, type RelayOptions } from './relay.ts';
export { isSendableHost } from './request-head.ts';
