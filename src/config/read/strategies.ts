import type { Config } from '../schema/index.ts';
import type { Path } from '../tree.ts';
import { isAllHosted } from './hosted.ts';

type Report = (path: Path, message: string) => void;

type Registry = Config['registries'][string];

/** Problems of strategies. Pure. */
export function checkStrategies({ registries }: Config, report: Report): void {
  for (const [name, registry] of Object.entries(registries)) {
    const { strategy, upstreams = [] } = registry;
    if (strategy === undefined) continue;
    const path = ['registries', name, 'strategy'];
    if (isAllHosted(registry)) {
      report(path, 'found it beside hosted: true, expected one of the two: what is hosted is asked of no upstream');
      continue;
    }
    if (typeof strategy === 'object' && (strategy.by === undefined) === (strategy.plugin === undefined)) {
      const found = strategy.by === undefined ? 'found neither by nor plugin' : 'found by and plugin';
      report(path, `${found}, expected one of the two, such as {by: fastest} or {plugin: ./routing.mjs}`);
    }
    if (byOf(registry) === 'weighted' && upstreams.length > 0 && upstreams.every(({ weight }) => weight === 0)) {
      report(
        path,
        'found weighted with a weight of 0 at every upstream, expected one above 0: none would be asked first',
      );
    }
  }
}

/** Strategies and weights without effect. Pure. */
export function noteStrategies({ registries }: Config, note: Report): void {
  for (const [name, registry] of Object.entries(registries)) {
    const { strategy, upstreams = [] } = registry;
    const path = ['registries', name, 'strategy'];
    if (strategy !== undefined && upstreams.length < 2 && !isAllHosted(registry)) {
      note(path, `without effect: ${name} has one upstream. List more under upstreams, or remove it`);
    }
    const by = byOf(registry);
    if (by === 'ordered' && typeof strategy === 'object' && strategy.tags) {
      note([...path, 'tags'], 'without effect: with ordered, tags are asked in that order anyway. Remove it');
    }
    if (by === 'weighted' || by === 'plugin') continue;
    for (const [at, { weight }] of upstreams.entries()) {
      if (weight === undefined) continue;
      note(
        ['registries', name, 'upstreams', at, 'weight'],
        'without effect: the strategy of the registry is not weighted. Set strategy: weighted beside upstreams, or remove it',
      );
    }
  }
}

function byOf({ strategy = 'ordered' }: Registry): 'ordered' | 'fastest' | 'weighted' | 'plugin' {
  if (typeof strategy === 'string') return strategy;
  return strategy.by ?? 'plugin';
}
