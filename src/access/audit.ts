import type { AccessRequest, Decision } from './gate.ts';

/** Whether a decision is that of audit mode: no rule allows the request. */
export function isAudited(decision: Decision): boolean {
  return decision.allowed && decision.onlyPublic === true && decision.wouldDeny === true;
}

/**
 * What audit mode makes of a request that no rule allows: a pull is let through where its repository is public. Private content
 * stays refused, and so does everything but a pull. Pure.
 */
export function underAudit(
  reason: string,
  { action, repository }: Pick<AccessRequest, 'action' | 'repository'>,
): Decision {
  if (action !== 'pull' || repository === undefined || repository.repository === '') return { allowed: false, reason };
  return { allowed: true, onlyPublic: true, reason, wouldDeny: true };
}
