/**
 * Whether upstreams can be reached from here, and if not, where it ends and what would do.
 *
 * Each is asked over the same dial, client and rules as for a pull, and told step by step: name, connection, TLS, answer,
 * token, what is left of its limit. It is asked nothing that counts as a pull, nothing is stored, no credential goes where
 * it would not go otherwise, and none is in what is reported.
 */
export { type CheckOptions, checkUpstreams } from './check-upstreams.ts';
export type { CheckTarget, Outcome, StepName, StepReport, UpstreamReport } from './report.ts';
