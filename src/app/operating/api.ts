import { describeTransfer, OPERATIONS } from '../../admin/index.ts';
import { loadServing, type Serving } from '../../api/index.ts';
import type { Repository } from '../../oci/index.ts';
import type { RunningServer } from '../running-server.ts';
import { isHostedHere } from '../settings/index.ts';
import { operationContextOf } from './context.ts';
import { liveSourcesOf } from './live.ts';

/** What answers the HTTP API of a server. It keeps the sessions: made once for each. */
export async function openServing(server: RunningServer): Promise<Serving> {
  const { live, parts } = server;
  const { createServing } = await loadServing();
  const context = operationContextOf(server);
  const serving = createServing({
    version: server.version,
    telemetry: parts.telemetry,
    transfers: () => [...parts.cache.transfers].map(describeTransfer),
    sources: liveSourcesOf(server, context),
    operations: Object.values(OPERATIONS),
    context,
    async isPublic(repository: Repository) {
      const { catalogue } = live.current.upstreams;
      if (isHostedHere(catalogue, repository)) return true;
      const registry = catalogue.byName(repository.registry);
      if (registry === undefined) return false;
      // No upstream is asked: a list may name thousands.
      return parts.cache.visibilities.isKnownPublic(repository, parts.upstreamSets.anonymousOf(registry, undefined));
    },
  });
  parts.cleanups.push(() => serving.close());
  return serving;
}
