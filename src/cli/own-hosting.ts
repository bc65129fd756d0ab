import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { composeRegistries } from '../app/index.ts';
import { type Hosting, HostingRules, loadHosting } from '../hosting/index.ts';
import { loadHostedStore, openHostedBlobStore } from '../store/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import type { OwnedCache } from './server-command.ts';

/**
 * Opens what is hosted in a cache directory that this command owns, for its time. Its layouts follow at the next start of a server.
 *
 * @throws {HostedStoreError} where its records are lost or damaged
 */
export async function withOwnHosting<T>(
  { loaded: { config }, store: cacheStore }: Pick<OwnedCache, 'loaded' | 'store'>,
  work: (hosted: { readonly current: Hosting | undefined }) => Promise<T> | T,
): Promise<T> {
  if (config.cache === 'off') throw new Error('a command owns a directory only where there is a cache');
  const directory = join(config.cache.dir, 'hosted');
  const file = join(directory, 'hosted.db');
  // Where there are layouts alone, opening the records says that they are lost.
  if (!existsSync(file) && !existsSync(join(directory, 'repositories'))) return work({ current: undefined });
  const [{ Hosting }, { openHostedStore }] = await Promise.all([loadHosting(), loadHostedStore()]);
  const records = await openHostedStore(file);
  try {
    const rules = new HostingRules(composeRegistries(config).list());
    const current = await Hosting.open({
      store: await openHostedBlobStore(directory),
      records,
      cacheStore,
      rules: () => rules,
      telemetry: new Telemetry(),
    });
    try {
      return await work({ current });
    } finally {
      await current.close();
    }
  } finally {
    await records.close();
  }
}
