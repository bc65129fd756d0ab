/**
 * Checks whether upstreams can be reached from this machine; where one cannot, it names the failed step and the remedy.
 *
 * Each check uses the same dial, client and rules as a pull, and reports step by step: name, connection, TLS, answer, token,
 * remaining pulls. Only the check of an image makes requests that count as a pull. It never stores anything, never sends a
 * credential where a pull would not, and never reports one.
 */
export { checkImage, type ImageQuestion, type ImageStep } from './check-image.ts';
export { type CheckOptions, checkUpstreams } from './check-upstreams.ts';
export type { CheckTarget, Outcome, StepName, StepReport, UpstreamReport } from './report.ts';
