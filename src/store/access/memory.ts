import type { AccessStore, TokenRecord, TokenUse, UserRecord } from './access-store.ts';

/** An {@link AccessStore} in memory, for tests. */
export class MemoryAccessStore implements AccessStore {
  readonly #users = new Map<string, UserRecord>();
  readonly #tokens = new Map<string, TokenRecord>();

  async listUsers(): Promise<readonly UserRecord[]> {
    return sorted(this.#users.values());
  }

  async addUser(user: UserRecord): Promise<boolean> {
    if (this.#users.has(user.name)) return false;
    this.#users.set(user.name, { ...user });
    return true;
  }

  async setPassword(
    name: string,
    { password, at }: { readonly password: string; readonly at: number },
  ): Promise<boolean> {
    return this.#change(name, { password, passwordAt: at });
  }

  async setDisabled(name: string, disabled: boolean): Promise<boolean> {
    return this.#change(name, { disabled });
  }

  async removeUser(name: string): Promise<boolean> {
    for (const token of this.#tokens.values()) if (token.owner === name) this.#tokens.delete(token.name);
    return this.#users.delete(name);
  }

  async listTokens(): Promise<readonly TokenRecord[]> {
    return sorted(this.#tokens.values());
  }

  async addToken(token: TokenRecord): Promise<'added' | 'taken' | 'no owner'> {
    const isTaken = [...this.#tokens.values()].some(({ name, hash }) => name === token.name || hash === token.hash);
    if (isTaken) return 'taken';
    if (token.owner !== undefined && !this.#users.has(token.owner)) return 'no owner';
    this.#tokens.set(token.name, { ...token, may: [...token.may], on: [...token.on] });
    return 'added';
  }

  async removeToken(name: string): Promise<boolean> {
    return this.#tokens.delete(name);
  }

  async noteUses(uses: readonly TokenUse[]): Promise<void> {
    for (const { name, at } of uses) {
      const token = this.#tokens.get(name);
      if (token !== undefined && at > (token.usedAt ?? Number.NEGATIVE_INFINITY)) {
        this.#tokens.set(name, { ...token, usedAt: at });
      }
    }
  }

  async close(): Promise<void> {}

  #change(name: string, change: Partial<UserRecord>): boolean {
    const user = this.#users.get(name);
    if (user === undefined) return false;
    this.#users.set(name, { ...user, ...change });
    return true;
  }
}

/** In the order of the bytes of their names, as the database has them: UTF-16 would sort some characters otherwise. */
function sorted<T extends { readonly name: string }>(records: Iterable<T>): readonly T[] {
  return [...records].sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
}
