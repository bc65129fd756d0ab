/**
 * Other registries: their API, authentication and health, and fail-over from one upstream to the next.
 *
 * It answers challenges, follows redirects within policy, and turns each failure into one of five kinds. An upstream that is
 * down or throttles is left alone for a while. It never makes a request on its own initiative: no health probes, not even at
 * the start. It never stores anything but tokens (in memory), never verifies a blob, and never sends a credential to any
 * host but its own upstream and that upstream's token service.
 */

export { parseChallenges, readSecret } from './auth/index.ts';
export { blockOf, siteBlockOf, versionRefusalOf } from './blocked.ts';
export type { UpstreamContext } from './context.ts';
export { UpstreamError } from './error.ts';
export {
  openRoutingPlugin,
  type PluginTrial,
  type PluginView,
  type SupervisedPlugin,
  tryPlugin,
} from './plugin/index.ts';
export { type ProbeQuestion, probeUpstream } from './probe.ts';
export { Site } from './site.ts';
export type { MirrorSpec } from './site-spec.ts';
export type { Question } from './strategy/index.ts';
export { createUpstreams, type RoutedUpstream, type Upstreams } from './upstreams.ts';
