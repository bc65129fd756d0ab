/** A claim of a registry to another name. */
export interface Claim {
  readonly word: string;
  /** The registry's name. */
  readonly registry: string;
  /** Built in: yields to a configured claim without a problem. */
  readonly isBuiltIn: boolean;
  /** The option it comes from, for problems. */
  readonly where: string;
  /** Whether it is also valid as the first component of a repository's name. */
  readonly isPathName: boolean;
}

/** The granted claims by registry, and a problem for each conflict. */
interface SettledClaims {
  readonly settled: ReadonlyMap<string, readonly Claim[]>;
  readonly problems: readonly string[];
}

/**
 * Collects claims and gives each word to one registry: to the registry with that name, else to the first configured claim,
 * else to the built-in one. Two configured claims to one word are a problem, regardless of their order.
 */
export class NameClaims {
  readonly #byWord = new Map<string, Claim[]>();

  add(claim: Claim): void {
    const claims = this.#byWord.get(claim.word);
    if (claims === undefined) this.#byWord.set(claim.word, [claim]);
    else claims.push(claim);
  }

  /** The registry that has a word by the claims so far. */
  ownerOf(word: string): string | undefined {
    const claims = this.#byWord.get(word) ?? [];
    return (claims.find(({ isBuiltIn }) => !isBuiltIn) ?? claims[0])?.registry;
  }

  /** @param names the names of all registries */
  settle(names: ReadonlySet<string>): SettledClaims {
    const settled = new Map<string, Claim[]>();
    const problems: string[] = [];
    for (const [word, claims] of this.#byWord) {
      const owner = names.has(word) ? word : this.ownerOf(word);
      if (owner === undefined) continue;
      const won = claims.filter(({ registry }) => registry === owner);
      const [first] = won;
      if (first !== undefined) {
        const claim = { ...first, isPathName: won.some(({ isPathName }) => isPathName) };
        settled.set(owner, [...(settled.get(owner) ?? []), claim]);
      }
      for (const { registry, isBuiltIn, where } of claims) {
        if (registry === owner || isBuiltIn) continue;
        const holder = owner === word ? 'is a registry of its own' : `means ${owner} already`;
        problems.push(`${where}: "${word}" cannot mean ${registry}, as it ${holder}; choose another word`);
      }
    }
    return { settled, problems };
  }
}
