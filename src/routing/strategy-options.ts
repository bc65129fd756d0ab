import type { ConfiguredUpstream, StrategySpec } from '../oci/index.ts';

/** As it is configured: a word, or a map with one of `by` and `plugin`. */
export type StrategyOption =
  | Exclude<StrategySpec['by'], 'plugin'>
  | {
      readonly by?: Exclude<StrategySpec['by'], 'plugin'>;
      /** Path of a module. */
      readonly plugin?: string;
      /** @default false */
      readonly tags?: boolean;
    };

/** A registry whose strategy is to be found. */
interface Registry {
  readonly strategy?: StrategyOption;
  /** As written. */
  readonly upstreams?: readonly { readonly weight?: number }[];
}

/**
 * The strategy of a registry; undefined where it is ordered, as without one.
 *
 * @param upstreams those of the registry: where they are written, in that order
 */
export function strategyOf(
  { strategy = 'ordered', upstreams: written = [] }: Registry,
  upstreams: readonly Pick<ConfiguredUpstream, 'name'>[],
): StrategySpec | undefined {
  const { by, plugin, tags = false } = typeof strategy === 'string' ? { by: strategy } : strategy;
  if (by === 'ordered' || (by === undefined && plugin === undefined)) return undefined;
  const weights = new Map(upstreams.map(({ name }, at) => [name, written[at]?.weight ?? 1]));
  return { by: by ?? 'plugin', tags, weights, ...(plugin !== undefined && { plugin }) };
}
