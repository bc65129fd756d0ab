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

/**
 * `reason` is for the log and the client alike: it names what is not allowed, never whether something exists. With `onlyPublic`,
 * the request is allowed if every client may see the repository, which the upstreams decide; with `wouldDeny`, by audit mode
 * alone. `rule`: the index of the rule that allows it.
 */
export type Decision =
  | { readonly allowed: true; readonly onlyPublic?: undefined; readonly rule?: number }
  | {
      readonly allowed: true;
      readonly onlyPublic: true;
      readonly reason: string;
      readonly wouldDeny?: true;
      readonly rule?: number;
    }
  | { readonly allowed: false; readonly reason: string };

/** Decides; with rules or without. */
export type Authorize = (request: AccessRequest) => Decision;

export const ALLOWED: Decision = { allowed: true };

/** What changes a repository or the server: only a user or token may, whatever the rules say. */
const CHANGES: ReadonlySet<Action> = new Set<Action>(['push', 'delete', 'admin']);

/** Whether an action is for a client that has identified itself, and never for `anonymous`. */
export function needsIdentity(action: Action): boolean {
  return CHANGES.has(action);
}

/** What every client may do where no rules are configured. An action is refused until it is listed here. */
const OPEN: ReadonlySet<Action> = new Set<Action>(['connect', 'pull', 'catalog', 'status', 'proxy']);

/** Of these, what shows the content of a repository. */
const SHOWS_CONTENT: ReadonlySet<Action> = new Set<Action>(['pull', 'catalog']);

/**
 * The gate of a server without rules. Each request passes a gate once, after it is parsed and before the cache is asked:
 * content that was cached for one client is never shown to a client that may not see it (ARCHITECTURE.md, invariant 5).
 *
 * @param isReachable whether other machines reach the server: they see what is public, and not what a credential can read
 */
export function openGate({ isReachable }: { readonly isReachable: boolean }): Authorize {
  return ({ principal, action, repository }) => {
    if (principal.kind === 'operator') return ALLOWED;
    // Without rules no client can identify itself.
    if (needsIdentity(action)) return { allowed: false, reason: withoutLogin(action) };
    if (!OPEN.has(action)) return { allowed: false, reason: `${action} is not open to ${principal.kind} clients` };
    if (!isReachable || !SHOWS_CONTENT.has(action)) return ALLOWED;
    const reason =
      `${repositoryName(repository)} is not public, and a server without access rules shows other machines only what is public; ` +
      'its operator sets access';
    return { allowed: true, onlyPublic: true, reason };
  };
}

function withoutLogin(action: Action): string {
  return (
    `only a user may ${action === 'admin' ? 'administer this server' : action}, and this server has no access rules, so none can log in; ` +
    `its operator sets access with a rule that allows ${action}, and adds a user with: entrepot users add NAME`
  );
}

/** The repository of a request in messages; empty where there is none. */
export function repositoryName(repository: Repository | undefined): string {
  return repository === undefined || repository.repository === ''
    ? ''
    : `${repository.registry}/${repository.repository}`;
}
