import { compileGlob } from '../lib/index.ts';
import type { HostingSpec, RegistrySpec, Repository } from '../oci/index.ts';

/** Where the content of a repository is at home: `here`; at its upstream, where pushes go on to; or there, and nothing is pushed. */
export type Home = 'here' | 'pushed through' | 'mirrored';

type Matches = (text: string) => boolean;

interface Rules {
  readonly spec: HostingSpec;
  readonly isHosted: Matches;
  readonly isPushed: Matches;
  /** Of `repository:tag`. */
  readonly isImmutable: Matches;
  /** Of a repository: whether a tag of it can be immutable. */
  readonly hasImmutable: Matches;
}

/** What the configuration says of repositories that can be pushed to. Pure. */
export class HostingRules {
  readonly #registries: ReadonlyMap<string, Rules>;

  constructor(registries: readonly Pick<RegistrySpec, 'name' | 'hosting'>[]) {
    this.#registries = new Map(
      registries.flatMap(({ name, hosting }) => (hosting === undefined ? [] : [[name, compile(hosting)]])),
    );
  }

  /** Whether nothing can be pushed to. */
  get isEmpty(): boolean {
    return this.#registries.size === 0;
  }

  homeOf({ registry, repository }: Repository): Home {
    const rules = this.#registries.get(registry);
    if (rules === undefined || repository === '') return 'mirrored';
    if (rules.isHosted(repository)) return 'here';
    return rules.isPushed(repository) ? 'pushed through' : 'mirrored';
  }

  /** Undefined for a registry without hosted repositories. */
  specOf(registry: string): HostingSpec | undefined {
    return this.#registries.get(registry)?.spec;
  }

  /** Whether a tag of the repository, there or not, is immutable. */
  hasImmutable({ registry, repository }: Repository): boolean {
    return this.#registries.get(registry)?.hasImmutable(repository) === true;
  }

  isImmutable({ registry, repository }: Repository, tag: string): boolean {
    return this.#registries.get(registry)?.isImmutable(`${repository}:${tag}`) === true;
  }
}

function compile(spec: HostingSpec): Rules {
  const immutable = spec.immutableTags.map((pattern) => (pattern.includes(':') ? pattern : `**:${pattern}`));
  return {
    spec,
    isHosted: anyOf(spec.hosted),
    isPushed: anyOf(spec.push),
    isImmutable: anyOf(immutable),
    hasImmutable: anyOf(immutable.map((pattern) => pattern.slice(0, pattern.lastIndexOf(':')))),
  };
}

function anyOf(patterns: readonly string[]): Matches {
  const compiled = patterns.map(compileGlob);
  return (text) => compiled.some((matches) => matches(text));
}
