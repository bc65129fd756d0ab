import type { Repository } from '../oci/index.ts';
import type { Principal } from './principal.ts';

/**
 * What a request does. `pull` reads manifests and blobs, by HEAD and by Range too, and the tags and referrers of a
 * repository. `catalog` reads the repositories of a registry. `push` and `delete` change a repository. `status` reads the
 * state of the server itself. `admin` runs an operation of the operator.
 */
export const ACTIONS = ['pull', 'catalog', 'push', 'delete', 'status', 'admin'] as const;
export type Action = (typeof ACTIONS)[number];

export interface AccessRequest {
  readonly principal: Principal;
  readonly action: Action;
  /** Undefined where the action concerns no single repository: `catalog`, `status`, `admin`. */
  readonly repository: Repository | undefined;
}

/** `reason` is for the log and the client alike: it names what is not allowed, never whether something exists. */
type Decision = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

const ALLOWED: Decision = { allowed: true };

/** What each kind of principal may do. A table and not a chain of tests: a new action is refused until it is listed here. */
const MAY: Readonly<Record<Principal['kind'], ReadonlySet<Action>>> = {
  anonymous: new Set<Action>(['pull', 'catalog', 'status']),
};

/**
 * The one gate. Each request passes it once, after it is parsed and before the cache is asked: content that was cached for
 * one client is never shown to a client that may not see it (ARCHITECTURE.md, invariant 5).
 */
export function authorize({ principal, action }: AccessRequest): Decision {
  if (MAY[principal.kind].has(action)) return ALLOWED;
  return { allowed: false, reason: `${action} is not open to ${principal.kind} clients` };
}
