// Loaded at its first use where `access:` is configured or explained, else after the start, for a reload.

export { Accounts } from './accounts.ts';
export { Guard } from './guard.ts';
export { needsOf, Recorder, suggestRules } from './observe/index.ts';
export { Policy } from './policy.ts';
export { isWithin, scopeOf } from './scope.ts';
export { Tokens } from './tokens.ts';
export { HtpasswdError } from './users.ts';
