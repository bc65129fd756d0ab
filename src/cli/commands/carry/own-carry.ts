import type { ImportedBundle, OperationContext } from '../../../admin/index.ts';
import { cacheOptionsOf, catalogueOf, loadCarry } from '../../../app/index.ts';
import { PullThrough } from '../../../cache/index.ts';
import { Telemetry } from '../../../telemetry/index.ts';
import { withOwnHosting } from '../../own-hosting.ts';
import type { OwnedCache } from '../../server-command.ts';

// Loaded where no server runs: beside one, a command needs none of the cache itself.

/** Imports a stream as the owner of a directory. */
export function importAlone(owned: OwnedCache, body: AsyncIterable<Buffer>): Promise<ImportedBundle> {
  return withOwnCarry(owned, (carry) => carry.import(body));
}

/** Works with what is stored in a directory that this command owns. */
export async function withOwnCarry<T>(
  { loaded, store, metadata }: OwnedCache,
  work: (carry: OperationContext['carry']) => Promise<T>,
): Promise<T> {
  const { config } = loaded;
  const catalogue = await catalogueOf(config);
  const telemetry = new Telemetry();
  const cache = new PullThrough({ store, metadata, telemetry, ...cacheOptionsOf(config, catalogue) });
  try {
    const { composeCarry } = await loadCarry();
    return await withOwnHosting({ loaded, store }, async ({ current }) => {
      const carry = composeCarry({
        cache,
        metadata,
        store,
        hosted: () => current,
        current: () => ({ config, catalogue }),
      });
      try {
        return await work(carry);
      } finally {
        carry.close();
      }
    });
  } finally {
    await cache.close();
  }
}
