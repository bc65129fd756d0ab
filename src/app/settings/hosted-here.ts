import { HostingRules } from '../../hosting/index.ts';
import type { Repository } from '../../oci/index.ts';
import type { Catalogue } from '../../routing/index.ts';

/** Whether a repository is pushed to this server, so that no upstream is asked for it. */
export function isHostedHere(catalogue: Catalogue, repository: Repository): boolean {
  return new HostingRules(catalogue.list()).homeOf(repository) === 'here';
}
