// What is loaded only where `access:` is configured, or explained.

export { Guard } from './guard.ts';
export { Policy } from './policy.ts';
export { Tokens } from './tokens.ts';
export { HtpasswdError } from './users.ts';
