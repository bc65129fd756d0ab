// What is loaded only where `access:` is configured, or explained.

export { Accounts } from './accounts.ts';
export { Guard } from './guard.ts';
export { needsOf, Recorder, suggestRules } from './observe/index.ts';
export { Policy } from './policy.ts';
export { isWithin, scopeOf } from './scope.ts';
export { Tokens } from './tokens.ts';
export { HtpasswdError } from './users.ts';
