/**
 * What requests the rules allowed, refused or would have refused, by the hour; and the rules that these requests would need.
 *
 * It never decides on a request, and never changes a rule.
 */

export { type Need, type NeedsReading, needsOf } from './needs.ts';
export { Recorder } from './recorder.ts';
export { type SuggestedPattern, type SuggestedRule, type Suggestion, suggestRules } from './suggest.ts';
