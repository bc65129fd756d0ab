/**
 * Below HTTP: names, sockets, TLS, and one exchange at a time with another server.
 *
 * It holds no policy but the address policy it is given: no redirect is followed, nothing is retried or kept, except that
 * a request which met a kept connection in the moment it was closed is sent once more.
 */
export { isAllowed, isPublicAddress } from './address-policy.ts';
export { createResolver, type Resolver, type ResolverOptions } from './dns/resolver.ts';
export * from './http.ts';
export { createHttpClient } from './http-client.ts';
export { outboundProxyFor } from './outbound-proxy.ts';
