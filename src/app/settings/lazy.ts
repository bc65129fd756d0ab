import { loadYaml } from '../../config/index.ts';
import { loadPromClient } from '../../telemetry/index.ts';

// What a start does not need is imported when it is first used. Each such room is imported in one place only, because Node,
// asked by another file for what it has long loaded, looks for it on the disk again, where it may be gone by then.

export const loadNet = (): Promise<typeof import('../../net/index.ts')> => import('../../net/index.ts');
export const loadUpstream = (): Promise<typeof import('../../upstream/index.ts')> => import('../../upstream/index.ts');
export const loadSites = (): Promise<typeof import('../../sites/index.ts')> => import('../../sites/index.ts');
export const loadForward = (): Promise<typeof import('../../forward/index.ts')> => import('../../forward/index.ts');

/**
 * Loads all that a running server may come to need: what asks upstreams, reads the configuration again, shows metrics.
 *
 * To be called when there is nothing else to do. A server whose files are replaced under it, as an upgrade does, then goes
 * on with those it was started with until it is started again.
 */
export async function loadLateParts(): Promise<void> {
  const late = [loadNet, loadUpstream, loadSites, loadForward, loadYaml, loadPromClient];
  await Promise.all(late.map((load) => load()));
}
