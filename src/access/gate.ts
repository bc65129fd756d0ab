import type { Repository } from '../oci/index.ts';
import type { Principal } from './principal.ts';

/**
 * What a request does. `connect` is the version check `/v2/`, by which clients learn whether to log in. `pull` reads manifests
 * and blobs, by HEAD and by Range too, the tags and referrers of a repository, and the paths of a mirror route. `catalog`
 * reads the repositories of a registry. `push` and `delete` change a repository. `status` reads the state of the server
 * itself. `admin` runs an operation of the operator. `proxy` uses the forward proxy.
 */
export const ACTIONS = ['connect', 'pull', 'catalog', 'push', 'delete', 'status', 'admin', 'proxy'] as const;

export type Action = (typeof ACTIONS)[number];

export interface AccessRequest {
  readonly principal: Principal;
  readonly action: Action;
  /**
   * Undefined where the action concerns no single repository: `connect`, `status`, `admin`, `proxy`. For `catalog` the name is
   * empty. A mirror route is the registry `mirror:NAME`, and the path under its prefix the repository.
   */
  readonly repository: Repository | undefined;
}

/** `reason` is for the log and the client alike: it names what is not allowed, never whether something exists. */
export type Decision = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

/** Decides; with rules or without. */
export type Authorize = (request: AccessRequest) => Decision;

export const ALLOWED: Decision = { allowed: true };

/** What every client may do where no rules are configured. An action is refused until it is listed here. */
const OPEN: ReadonlySet<Action> = new Set<Action>(['connect', 'pull', 'catalog', 'status', 'proxy']);

/**
 * The gate of a server without rules. Each request passes a gate once, after it is parsed and before the cache is asked:
 * content that was cached for one client is never shown to a client that may not see it (ARCHITECTURE.md, invariant 5).
 */
export function authorize({ principal, action }: AccessRequest): Decision {
  if (OPEN.has(action)) return ALLOWED;
  return { allowed: false, reason: `${action} is not open to ${principal.kind} clients` };
}
