/** The wish of a registry to be called something besides its name. */
export interface Claim {
  readonly word: string;
  /** The registry's name. */
  readonly registry: string;
  /** Built in: gives way in silence to what an operator wrote. */
  readonly isBuiltIn: boolean;
  /** The option it comes from, for problems. */
  readonly where: string;
  /** It may also stand as the first component of a repository's name. */
  readonly isPathName: boolean;
}

/** Who is called what in the end, by the name of the registry, and which wishes contradict each other. */
export interface SettledClaims {
  readonly settled: ReadonlyMap<string, readonly Claim[]>;
  readonly problems: readonly string[];
}

/**
 * Collects claims, and gives each word to one registry: to the one whose name it is, else to the first that an operator
 * wrote, else to the built-in one. Two different wishes an operator wrote are a problem, never a matter of order.
 */
export class NameClaims {
  readonly #byWord = new Map<string, Claim[]>();

  add(claim: Claim): void {
    const claims = this.#byWord.get(claim.word);
    if (claims === undefined) this.#byWord.set(claim.word, [claim]);
    else claims.push(claim);
  }

  /** The registry that has a word as things stand. */
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
