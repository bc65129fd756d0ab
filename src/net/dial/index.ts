/**
 * Connections to hosts: outbound proxy, address policy, TLS, ClientHello fragmentation.
 *
 * It never sends a request to the host, and never follows a redirect.
 */

export { isAllowed, isPublicAddress, plainHost, policyKey } from './address-policy.ts';
export { createDial } from './dial.ts';
export { outboundProxyFor } from './outbound-proxy.ts';
export { readInto } from './read-into.ts';
export type { Dial, Dialled, DialTarget } from './target.ts';
export type { DialMoment } from './trace.ts';
