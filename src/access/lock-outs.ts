import type { AccessStore } from '../store/index.ts';
import { AccountError } from './refusal.ts';

type Write = (store: AccessStore) => Promise<unknown>;

/** Lock-outs that hold in this process, and that the store has not taken: a user or token who must go cannot wait for a disk. */
export class UnstoredLockOuts {
  readonly #writes = new Map<string, Write>();

  /** Whom they refuse, as rules name them: `alice`, `token:ci`. */
  get names(): readonly string[] {
    return [...this.#writes.keys()];
  }

  has(who: string): boolean {
    return this.#writes.has(who);
  }

  /** In place of an earlier one for the same user or token: to remove a user includes that they are disabled. */
  add(who: string, write: Write): void {
    this.#writes.set(who, write);
  }

  delete(who: string): void {
    this.#writes.delete(who);
  }

  /** Stores them one after the other, and forgets each that is stored. Rejects where the store does. */
  async storeIn(store: AccessStore): Promise<void> {
    for (const [who, write] of this.#writes) {
      await write(store);
      this.#writes.delete(who);
    }
  }
}

/** Tells of a lock-out that holds, and is not stored. */
export class UnstoredLockOutError extends AccountError {
  constructor(who: string, cause: unknown) {
    const { found, remedy } = reasonOf(cause);
    super(
      `${who} is refused from now on by this server; that could not be stored (${found}), so it ends at the next restart: ` +
        `${remedy}, and run the command again`,
      { cause },
    );
  }
}

/** A password that could not be stored. @param canDisable whether a lock-out would hold all the same */
export function unstoredPassword(
  name: string,
  cause: unknown,
  { canDisable }: { readonly canDisable: boolean },
): AccountError {
  const { found, remedy } = reasonOf(cause);
  const meanwhile = canDisable ? `; until then, \`entrepot users disable ${name}\` refuses them` : '';
  return new AccountError(
    `the password of ${name} is as it was, because the new one could not be stored (${found}): ` +
      `${remedy}, and run the command again${meanwhile}`,
    { cause },
  );
}

/** Of an `AccessStoreError`, whose class is loaded with the store alone: its parts, to be put into another sentence. */
function reasonOf(error: unknown): { readonly found: string; readonly remedy: string } {
  if (error instanceof Error && 'found' in error && 'remedy' in error) {
    const remedy = String(error.remedy).replace(/,? and repeat the command\.$|\.$/, '');
    return { found: String(error.found), remedy: `${remedy.charAt(0).toLowerCase()}${remedy.slice(1)}` };
  }
  return { found: error instanceof Error ? error.message : String(error), remedy: 'remove the cause' };
}
