import { nameOf } from '../../access/index.ts';
import type { Actor } from '../../hosting/index.ts';
import type { PassedGate, RequestContext } from '../../server/index.ts';

/** Who sends a request that changes a repository. */
export function actorOf({ client }: RequestContext, { principal }: PassedGate): Actor {
  return { by: nameOf(principal), client };
}
