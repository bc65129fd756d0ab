import {
  type CopyDestination,
  type CopySource,
  HostedDestination,
  HostedSource,
  MirroredSource,
  UpstreamDestination,
} from '../../copy/index.ts';
import { HostingRules } from '../../hosting/index.ts';
import { ownVia } from '../../lib/index.ts';
import { OciError, type RegistrySpec, type Repository } from '../../oci/index.ts';
import type { RunningServer } from '../running-server.ts';
import { destinationFault, nameOf } from '../settings/index.ts';

// Where images are copied from, and to: as the generation of the moment has it, at each attempt.

export function rulesOf({ live }: Pick<RunningServer, 'live'>): HostingRules {
  return new HostingRules(live.current.upstreams.catalogue.list());
}

/** @throws {OciError} where nothing may be pushed to a repository, with what to write */
export function requireDestination(repository: Repository, server: RunningServer): void {
  const rules = rulesOf(server);
  const fault = destinationFault(repository, rules);
  if (fault !== undefined) throw new OciError('UNSUPPORTED', fault);
  if (server.live.current.config.offline && rules.homeOf(repository) === 'pushed through') {
    const message = `this server is offline, so nothing can be copied to the upstream of ${nameOf(repository)}`;
    throw new OciError('UNSUPPORTED', message);
  }
}

/** Rejects with an `OciError` where a repository cannot be copied from. */
export async function sourceOf(repository: Repository, server: RunningServer): Promise<CopySource> {
  const { live, parts, processContext } = server;
  const registry = registryOf(repository, live);
  if (rulesOf(server).homeOf(repository) === 'here') return new HostedSource(repository, await parts.hosted.open());
  const originOf = (upstreams: RegistrySpec['upstreams']) =>
    parts.upstreamSets.originOf({ ...registry, upstreams }, ownVia(processContext.pseudonym));
  // Every tag is every tag of each: a hot upstream that has the repository may lack what the cold one has.
  const listing = registry.upstreams.filter(({ capabilities }) => capabilities.includes('resolve'));
  return new MirroredSource(repository, {
    cache: parts.cache,
    origin: parts.upstreamSets.originOf(registry, ownVia(processContext.pseudonym)),
    ...(listing.length > 1 && { listed: listing.map((upstream) => originOf([upstream])) }),
    isOffline: live.current.config.offline,
  });
}

/** Rejects with an `OciError` where a repository takes no push. @param by who copies, as rules write it */
export async function destinationOf(
  repository: Repository,
  by: string,
  server: RunningServer,
): Promise<CopyDestination> {
  const { live, parts, processContext } = server;
  const { cache, hosted, telemetry, upstreamSets } = parts;
  requireDestination(repository, server);
  const rules = rulesOf(server);
  if (rules.homeOf(repository) === 'here') {
    return new HostedDestination(repository, { hosting: await hosted.open(), cache, by });
  }
  const origin = await upstreamSets.pushOriginOf(registryOf(repository, live), ownVia(processContext.pseudonym))();
  const isImmutable = (tag: string): boolean => rules.isImmutable(repository, tag);
  return new UpstreamDestination(repository, { origin, cache, telemetry, isImmutable, by });
}

function registryOf({ registry }: Repository, live: RunningServer['live']): RegistrySpec {
  const found = live.current.upstreams.catalogue.byName(registry);
  if (found === undefined) throw new OciError('NAME_UNKNOWN', `no registry is called ${registry}`);
  return found;
}
