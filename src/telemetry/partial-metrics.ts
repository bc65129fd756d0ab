import { Counter, Gauge } from './counters.ts';
import type { Telemetry } from './events.ts';

export interface PartialReadings {
  /** Blobs that have come in part, and their bytes. */
  readonly partials?: () => Promise<{ readonly count: number; readonly bytes: number }>;
}

type PartialCounters = ReturnType<typeof createPartialCounters>;

/** The metrics of partial content, except gauges whose reader is not among the options. */
export function createPartialCounters({ partials }: PartialReadings) {
  const gauges = partials && {
    partials: new Gauge({
      name: 'entrepot_cache_partials',
      help: 'Blobs that have come in part, and that no transfer continues now.',
      read: async () => (await partials()).count,
    }),
    partialBytes: new Gauge({
      name: 'entrepot_cache_partial_bytes',
      help: 'Bytes of the blobs that have come in part.',
      read: async () => (await partials()).bytes,
    }),
  };
  return {
    continued: new Counter({
      name: 'entrepot_ingests_continued_total',
      help: 'Transfers that continued the partial content of an earlier one.',
      labels: ['registry'],
    }),
    partialReused: new Counter({
      name: 'entrepot_partial_reused_bytes_total',
      help: 'Bytes of partial content that transfers continued with, and that were not fetched again.',
      labels: ['registry'],
    }),
    ...gauges,
  };
}

/** @param named the label of a registry */
export function countPartials(
  telemetry: Telemetry,
  counters: PartialCounters,
  named: (registry: string) => string,
): () => void {
  return telemetry.on('ingest.continued', ({ registry, bytes }) => {
    counters.continued.add(1, named(registry));
    counters.partialReused.add(bytes, named(registry));
  });
}
