/**
 * Other registries: asked politely, in order, in the dialect each of them speaks.
 *
 * It answers challenges, follows redirects within policy, turns each failure into one of five kinds and goes on to the next
 * upstream. Who is down or throttles is left alone for a while; nobody is ever asked without a question of somebody's
 * behind it, at the start neither. It never stores anything but tokens (in memory), never verifies a blob, and never gives a credential to
 * anyone but its own upstream and that upstream's own token service.
 */
export * from './answers.ts';
export { type Challenge, parseChallenges } from './challenge.ts';
export { readSecret } from './credential-reader.ts';
export { type FailureKind, UpstreamError } from './error.ts';
export type { HealthScope, HealthView } from './health.ts';
export { ownHeaders } from './own-headers.ts';
export { type ProbeAnswer, type ProbedUpstream, type ProbeQuestion, probeUpstream } from './probe.ts';
export type { Quota } from './rate-limit.ts';
export { asUpstream, Site, type SiteAnswer, type SiteOptions, type SiteRequest } from './site.ts';
export type { UpstreamContext } from './upstream.ts';
export { createUpstreams, type UpstreamsOptions } from './upstreams.ts';
