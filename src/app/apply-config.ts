import type { LoadedConfig } from '../config/index.ts';
import type { FrontDoor } from '../server/index.ts';
import { createGeneration, type Generation, type ProcessContext } from './generation.ts';
import type { ServerParts } from './parts.ts';
import { acmeSpecsOf, cacheOptionsOf, frontDoorOptionsOf } from './settings/index.ts';
import { hasSameUpstreams, type UpstreamSet } from './upstream-set.ts';

/** The current generation, swapped as a whole, so that no request sees a mixture. A request keeps the one it began with. */
export interface Live {
  current: Generation;
}

/** A running server, as a reload changes it. */
export interface ReloadTarget {
  readonly live: Live;
  readonly parts: ServerParts;
  readonly frontDoor: FrontDoor;
  readonly processContext: ProcessContext;
}

type NextConfig = Pick<LoadedConfig, 'config' | 'source' | 'settings' | 'layerNotes'>;

/**
 * Takes up another configuration, whole or not at all: first everything that can fail, then everything that cannot.
 *
 * @returns the upstreams that are now in effect
 * @throws {SettingsError} where the configuration cannot be taken up; then nothing has changed
 */
export async function applyConfig(next: NextConfig, target: ReloadTarget): Promise<UpstreamSet> {
  const { live, parts, frontDoor } = target;
  const { upstreamSets, cache, hosted, admission, eventLog, recording } = parts;
  const { acme } = target.processContext;
  const before = live.current.upstreams;
  const upstreams = await upstreamSets.open(next.config, before);
  const { generation, renewCertificates, takeUpWebhooks } = await prepare({ ...next, upstreams }, target);
  const policy = cacheOptionsOf(next.config, upstreams.catalogue);
  const door = frontDoorOptionsOf(next.config);
  // From here on nothing fails and nothing waits: the next request finds all of it.
  live.current = generation;
  renewCertificates();
  takeUpWebhooks();
  void acme?.configure(acmeSpecsOf(next.config));
  cache.reconfigure(policy);
  hosted.follow(next.config, upstreams.catalogue);
  const wasOffline = upstreamSets.isOffline;
  upstreamSets.isOffline = next.config.offline;
  if (wasOffline !== next.config.offline || !hasSameUpstreams(before, upstreams)) cache.clearFailures();
  frontDoor.adjust(door);
  admission.reconfigure(next.config.limits);
  eventLog.reconfigure(next.config);
  recording.reconfigure(next.config);
  upstreamSets.retire(before, upstreams);
  return upstreams;
}

async function prepare(
  next: NextConfig & { readonly upstreams: UpstreamSet },
  { live, parts, frontDoor, processContext }: ReloadTarget,
) {
  try {
    const generation = await createGeneration(next, processContext);
    const { listeners } = frontDoorOptionsOf(next.config);
    const renewCertificates = await frontDoor.prepareCertificates(listeners);
    return { generation, renewCertificates, takeUpWebhooks: await parts.webhooks.prepare(next.config) };
  } catch (error) {
    parts.upstreamSets.retire(next.upstreams, live.current.upstreams);
    throw error;
  }
}
