/**
 * What requests the rules allowed, refused or would have refused, by the hour; and the rules that these requests would need.
 *
 * It never decides on a request, and never changes a rule.
 */
export { needsOf } from './needs.ts';
export { type Observed, Recorder } from './recorder.ts';
export { suggestRules } from './suggest.ts';
