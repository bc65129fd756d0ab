/**
 * DNS lookups over HTTPS, over TLS or by the system, with a cache that respects TTLs.
 *
 * It never dials an address it finds.
 */
export { createResolver, type Resolver } from './resolver.ts';
