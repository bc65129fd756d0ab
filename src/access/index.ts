/**
 * The gate: who sends a request, and whether they may do what it asks for.
 *
 * It decides from the credential, the action and the repository alone. It never looks at the cache or at a URL, and it never
 * answers the client itself. What a server without rules does not need is loaded by {@link loadGuard} alone.
 */

export type { AccountChange, Accounts } from './accounts.ts';
export { isAudited } from './audit.ts';
export { type AccessRequest, type Action, type Authorize, type Decision, openGate } from './gate.ts';
export type { Guard, Identity, KnownPrincipals } from './guard.ts';
export type { Observed, Recorder } from './observe/index.ts';
export type { PolicySpec, Ruling } from './policy.ts';
export { ANONYMOUS, nameOf, OPERATOR_PRINCIPAL, type Principal } from './principal.ts';
export { AccountError, CredentialError, TooManyGuessesError } from './refusal.ts';
export type { Tokens } from './tokens.ts';

/** What `access:` needs: the guard, its tokens and the policy, and what it observes. */
export const loadGuard = (): Promise<typeof import('./guarded.ts')> => import('./guarded.ts');
