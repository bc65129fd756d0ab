import { type composeRegistries, isHostedHere } from '../../../app/index.ts';
import { HoldError } from '../../../cache/index.ts';
import type { Repository } from '../../../oci/index.ts';

/** For a command without a server. @throws {HoldError} for a hosted repository, whose records the server alone opens */
export function refuseHosted(repository: Repository, catalogue: ReturnType<typeof composeRegistries>): undefined {
  if (!isHostedHere(catalogue, repository)) return undefined;
  throw new HoldError(
    `${repository.registry}/${repository.repository} is hosted: start the server, which has its tags`,
  );
}
