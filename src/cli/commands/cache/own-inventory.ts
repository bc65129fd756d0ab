import { existsSync } from 'node:fs';
import type { OperationContext } from '../../../admin/index.ts';
import { composeRegistries, loadInventory } from '../../../app/index.ts';
import { TagPins } from '../../../cache/index.ts';
import type { Config } from '../../../config/index.ts';
import type { Repository } from '../../../oci/index.ts';
import { loadPullStore, type PullStore, pullFile } from '../../../store/index.ts';
import { Telemetry } from '../../../telemetry/index.ts';
import { withOwnHosting } from '../../own-hosting.ts';
import type { OwnedCache } from '../../server-command.ts';

/** What the operations on stored images act on. */
export type InventoryContext = Pick<OperationContext, 'inventory'>;

/** Tags of one repository whose last pull is told. */
const MOST_TAGS = 10_000;

/** The inventory of a cache directory that this command owns, for its time. */
export function withOwnInventory(
  { loaded, store, metadata }: OwnedCache,
  work: (context: InventoryContext) => Promise<number>,
): Promise<number> {
  return withOwnHosting({ loaded, store }, async (hosted) => {
    const { composeInventory } = await loadInventory();
    const { config } = loaded;
    const catalogue = composeRegistries(config);
    const pins = new TagPins({ metadata, telemetry: new Telemetry(), now: Date.now });
    const pulls = await openPulls(config);
    const lastPulls = pulls && {
      ofEach: async (repositories: readonly Repository[]) => {
        const found = [];
        for (const each of repositories) found.push((await pulls.lastPulls(each, 1))[0]);
        return found;
      },
      ofTags: async (repository: Repository) =>
        new Map((await pulls.lastPulls(repository, MOST_TAGS)).map((each) => [each.tag, each])),
    };
    try {
      const parts = { metadata, store, pins, hosted: () => hosted.current, lastPulls };
      return await work({ inventory: composeInventory(() => ({ config, catalogue }), parts) });
    } finally {
      await pulls?.close();
    }
  });
}

/** The record of pulls; undefined where there is none, `admin.record_pulls` is false, or it cannot be read: images are then listed without their last pulls. */
async function openPulls({ cache, admin }: Pick<Config, 'cache' | 'admin'>): Promise<PullStore | undefined> {
  if (cache === 'off' || !admin.recordPulls || !existsSync(pullFile(cache.dir))) return undefined;
  try {
    const { openPullStore } = await loadPullStore();
    return await openPullStore(pullFile(cache.dir), { onDamage: () => {} });
  } catch {
    return undefined;
  }
}
