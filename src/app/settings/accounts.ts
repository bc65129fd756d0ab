import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AccountChange, Accounts } from '../../access/index.ts';
import type { Config } from '../../config/index.ts';
import type { AccessNames, AccessStoreError } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { loadAccessStore, loadGuard } from './lazy.ts';

/** The file of users and tokens in a cache directory. */
const FILE = 'access.db';

/**
 * Opens the stored users and tokens of a cache directory, which the caller owns. The file is made with the first of them.
 *
 * @param isServing whether the caller serves clients, who are then refused at once, whether it can be stored or not
 * @throws {AccessStoreError}
 */
export async function openAccounts(
  dir: string,
  { telemetry, isServing = false }: { readonly telemetry: Telemetry; readonly isServing?: boolean },
): Promise<Accounts> {
  const [{ Accounts }, { openAccessStore }] = await Promise.all([loadGuard(), loadAccessStore()]);
  return Accounts.open({
    open: (how) => openAccessStore(join(dir, FILE), how),
    onChange: (change: AccountChange) => telemetry.publish('account.changed', change),
    onWarning: (message, error) => telemetry.publish('warning', { message, error }),
    isServing,
  });
}

/** Opens them at the first use. A failure is tried again at the next one: the operator may have put a copy in place. */
export function keepAccounts(
  dir: string,
  { telemetry, cleanups }: { readonly telemetry: Telemetry; readonly cleanups: (() => unknown)[] },
): () => Promise<Accounts> {
  let opened: Promise<Accounts> | undefined;
  cleanups.push(async () => {
    await (await opened?.catch(() => undefined))?.close();
  });
  return () => {
    opened ??= openAccounts(dir, { telemetry, isServing: true }).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}

/** What is known of the stored users and tokens. */
interface StoredAccounts extends AccessNames {
  /** False where they are not known; they are then empty. */
  readonly isComplete: boolean;
  /** Why they could not be read. Undefined also where there is no cache directory on this machine. */
  readonly fault: AccessStoreError | undefined;
}

/** The stored users and tokens, for a command that does not own the directory; none where the cache is off. */
export async function readAccounts({ cache }: Pick<Config, 'cache'>): Promise<StoredAccounts> {
  const none = { users: [], tokens: [], fault: undefined };
  if (cache === 'off') return { ...none, isComplete: true };
  if (!existsSync(cache.dir)) return { ...none, isComplete: false };
  const { readAccessStore, AccessStoreError } = await loadAccessStore();
  try {
    return { ...(await readAccessStore(join(cache.dir, FILE))), isComplete: true, fault: undefined };
  } catch (error) {
    if (error instanceof AccessStoreError) return { ...none, isComplete: false, fault: error };
    throw error;
  }
}
