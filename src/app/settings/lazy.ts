import { loadGuard } from '../../access/index.ts';
import { loadServing } from '../../api/index.ts';
import { type Config, loadYaml } from '../../config/index.ts';
import { loadHosting, loadLayouts } from '../../hosting/index.ts';
import { loadPushedRows, loadTokenDoor } from '../../registry/index.ts';
import { loadAccessStore, loadDeliveryStore, loadHostedStore } from '../../store/index.ts';
import { loadPromClient } from '../../telemetry/index.ts';

// Rooms that a start does not need are imported on first use. Each has one import, here: Node resolves an import of another
// file on the disk again, even of a loaded module, and an upgrade may have replaced the files by then.

export {
  loadAccessStore,
  loadDeliveryStore,
  loadGuard,
  loadHostedStore,
  loadHosting,
  loadLayouts,
  loadPushedRows,
  loadTokenDoor,
};

export const loadNet = (): Promise<typeof import('../../net/index.ts')> => import('../../net/index.ts');
export const loadUpstream = (): Promise<typeof import('../../upstream/index.ts')> => import('../../upstream/index.ts');
export const loadCheck = (): Promise<typeof import('../../check/index.ts')> => import('../../check/index.ts');
export const loadSites = (): Promise<typeof import('../../sites/index.ts')> => import('../../sites/index.ts');
export const loadForward = (): Promise<typeof import('../../forward/index.ts')> => import('../../forward/index.ts');
export const loadAcme = (): Promise<typeof import('../../acme/index.ts')> => import('../../acme/index.ts');
export const loadWebhooks = (): Promise<typeof import('../../webhooks/index.ts')> => import('../../webhooks/index.ts');
export const loadWeb = (): Promise<typeof import('../../web/index.ts')> => import('../../web/index.ts');

/**
 * Loads all modules that a running server may need later: for upstreams, reloads, users and tokens, metrics, the help.
 *
 * Call it when the server is idle. An upgrade may then replace the files: the server keeps running on the modules that it
 * was started with. What users and rules need is not loaded where none are configured, nor what webhooks need: rules and
 * webhooks that a reload adds after an upgrade take the restart that the upgrade needs anyway.
 */
export async function loadLateParts({ access }: Pick<Config, 'access'>): Promise<void> {
  const ofRooms = [
    loadNet,
    loadUpstream,
    loadSites,
    loadForward,
    loadAcme,
    loadWeb,
    loadYaml,
    loadPromClient,
    loadCheck,
    loadServing,
  ];
  const late = [...ofRooms, ...(access === undefined ? [] : [loadGuard, loadTokenDoor, loadAccessStore])];
  await Promise.all(late.map((load) => load()));
}
