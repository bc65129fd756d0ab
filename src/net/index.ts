/**
 * Below HTTP: names, sockets, TLS, and one exchange at a time with another server.
 *
 * It holds no policy but the address policy it is given: no redirect is followed, nothing is retried or kept.
 */
export * from './http.ts';
