/**
 * Other registries: asked politely, in order, in the dialect each of them speaks.
 *
 * It answers challenges, follows redirects within policy, turns each failure into one of five kinds and goes on to the next
 * upstream. Who is down or throttles is left alone for a while; nobody is ever asked without a question of somebody's
 * behind it, at the start neither. It never stores anything but tokens (in memory), never verifies a blob, and never gives a credential to
 * anyone but its own upstream and that upstream's own token service.
 */

export { parseChallenges, readSecret } from './auth/index.ts';
export type { UpstreamContext } from './context.ts';
export { UpstreamError } from './error.ts';
export { ownHeaders } from './own-headers.ts';
export { type ProbeQuestion, probeUpstream } from './probe.ts';
export { asUpstream, Site, type SiteOptions } from './site.ts';
export type { MirrorSpec } from './site-spec.ts';
export { createUpstreams, type Upstreams, type UpstreamsOptions } from './upstreams.ts';
