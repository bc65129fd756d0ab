import type { OperationContext } from '../../../admin/index.ts';
import { composeRegistries, loadInventory } from '../../../app/index.ts';
import { TagPins } from '../../../cache/index.ts';
import { Telemetry } from '../../../telemetry/index.ts';
import { withOwnHosting } from '../../own-hosting.ts';
import type { OwnedCache } from '../../server-command.ts';

/** What the operations on stored images act on. */
export type InventoryContext = Pick<OperationContext, 'inventory'>;

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
    const parts = { metadata, store, pins, hosted: () => hosted.current };
    return await work({ inventory: composeInventory(() => ({ config, catalogue }), parts) });
  });
}
