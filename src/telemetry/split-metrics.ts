import { Counter } from './counters.ts';
import type { SplitEnded } from './split-event.ts';

type SplitCounters = ReturnType<typeof createSplitCounters>;

/** The metrics of transfers that used several connections at once. */
export function createSplitCounters() {
  return {
    split: new Counter({
      name: 'entrepot_ingests_split_total',
      help: 'Finished transfers that used several connections at once.',
      labels: ['registry'],
    }),
    splitBytes: new Counter({
      name: 'entrepot_ingest_split_bytes_total',
      help: 'Bytes that each upstream delivered to transfers that used several connections at once.',
      labels: ['registry', 'upstream'],
    }),
  };
}

/** @param labelOf an upstream, as it is counted */
export function countSplit(
  counters: SplitCounters,
  { connections, upstreams = [] }: SplitEnded,
  { registry, labelOf }: { readonly registry: string; readonly labelOf: (upstream: string) => string },
): void {
  if (connections !== undefined) counters.split.add(1, registry);
  for (const { upstream, bytes } of upstreams) counters.splitBytes.add(bytes, registry, labelOf(upstream));
}
