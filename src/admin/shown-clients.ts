import type { Caller } from './operation.ts';
import type { PullSummary } from './pull-operations.ts';

/**
 * A pull as a caller may see it. Names and addresses of others are for callers who may administer: for all else the address is
 * empty, and the user absent.
 */
export function pullShownTo<Pull extends PullSummary>(caller: Caller, pull: Pull): Pull {
  if (maySee(caller, pull.user)) return pull;
  const { user: _, ...others } = pull;
  return { ...others, client: '' } as Pull;
}

/** Who did something, by the same rule: the name of a principal or an address; undefined where the caller may not know. */
export function actorShownTo(caller: Caller, actor: string): string | undefined {
  return maySee(caller, actor) ? actor : undefined;
}

/** Clients without a name are many: none of them has a pull of its own. */
function maySee({ seesClients, name }: Caller, actor: string | undefined): boolean {
  return seesClients || (actor === name && name !== 'anonymous');
}
