import { loadYaml } from './config/index.ts';
import { loadForward, loadMirror } from './server/index.ts';
import { loadPromClient } from './telemetry/index.ts';

// What a start does not need is imported when it is first used. Each such part is imported in one place only, because Node,
// asked by another file for what it has long loaded, looks for it on the disk again. There it may be gone by then.

export const loadNet = (): Promise<typeof import('./net/index.ts')> => import('./net/index.ts');
export const loadUpstream = (): Promise<typeof import('./upstream/index.ts')> => import('./upstream/index.ts');
export const loadMirrorSettings = (): Promise<typeof import('./mirror-settings.ts')> => import('./mirror-settings.ts');

/**
 * Loads all that a running server may come to need: what asks upstreams, reads the configuration again, shows metrics.
 *
 * To be called when there is nothing else to do. A server whose files are replaced under it, as an upgrade does, then goes
 * on with those it was started with until it is started again.
 */
export async function loadLateParts(): Promise<void> {
  await Promise.all(
    [loadNet, loadUpstream, loadMirrorSettings, loadMirror, loadForward, loadYaml, loadPromClient].map((load) =>
      load(),
    ),
  );
}
