import type { Repository } from '../oci/index.ts';
import type { Principal } from './principal.ts';

/**
 * What is asked for. `pull` reads manifests and blobs, by HEAD and by Range too; `list` reads the tags and referrers of
 * a repository; `catalog` the repositories of a registry; `push` and `delete` change a repository; `status` reads how
 * the server itself fares; `admin` runs an operation of the operator.
 */
export const ACTIONS = ['pull', 'catalog', 'push', 'delete', 'status', 'admin'] as const;
export type Action = (typeof ACTIONS)[number];

export interface AccessRequest {
  readonly principal: Principal;
  readonly action: Action;
  /** Undefined where the action concerns no single repository: `catalog`, `status`, `admin`. */
  readonly repository: Repository | undefined;
}

/** `reason` is for the log and the client alike: it says what is not allowed, never whether something exists. */
export type Decision = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

const ALLOWED: Decision = { allowed: true };

/**
 * Who may do what. A table and not a chain of tests, so that a new action is refused to everybody until it is listed.
 * Anybody may read at a mirror; how the server itself fares is the operator's business.
 */
const MAY: Readonly<Record<Principal['kind'], ReadonlySet<Action>>> = {
  anonymous: new Set<Action>(['pull', 'catalog', 'status']),
};

/**
 * The one gate. It is asked once per request, after the request is parsed and before the cache is looked at, so that
 * what is cached for one is never shown to another (ARCHITECTURE.md, invariant 5).
 */
export function authorize({ principal, action }: AccessRequest): Decision {
  if (MAY[principal.kind].has(action)) return ALLOWED;
  return { allowed: false, reason: `${action} is not open to ${principal.kind} clients` };
}
