import { Counter, Gauge } from './counters.ts';
import type { Telemetry } from './events.ts';

export interface TransferReadings {
  /** Transfers in progress. */
  readonly transfers?: () => number;
  /** Blobs that have come in part, and their bytes. */
  readonly partials?: () => Promise<{ readonly count: number; readonly bytes: number }>;
}

type TransferCounters = ReturnType<typeof createTransferCounters>;

/** The metrics of transfers and of partial content, except gauges whose reader is not among the options. */
export function createTransferCounters({ partials, transfers }: TransferReadings) {
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
    ingests: new Counter({
      name: 'entrepot_ingests_total',
      help: 'Finished transfers by outcome.',
      labels: ['registry', 'outcome'],
    }),
    ingestBytes: new Counter({
      name: 'entrepot_ingest_bytes_total',
      help: 'Bytes received from upstreams by transfers.',
      labels: ['registry', 'upstream'],
    }),
    joined: new Counter({
      name: 'entrepot_ingests_joined_total',
      help: 'Readers that joined a running transfer instead of starting one.',
      labels: ['registry'],
    }),
    resumed: new Counter({
      name: 'entrepot_ingests_resumed_total',
      help: 'Times a broken transfer was resumed.',
      labels: ['registry', 'upstream'],
    }),
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
    ...(transfers && {
      transfers: new Gauge({ name: 'entrepot_ingests_active', help: 'Transfers in progress.', read: transfers }),
    }),
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

/** The labels of a registry, and of an upstream. */
interface Labels {
  readonly named: (registry: string) => string;
  readonly upstreamOf: (event: { readonly registry: string; readonly upstream: string }) => string;
}

export function countTransfers(
  telemetry: Telemetry,
  counters: TransferCounters,
  { named, upstreamOf }: Labels,
): (() => void)[] {
  return [
    telemetry.on('ingest.joined', ({ registry }) => counters.joined.add(1, named(registry))),
    telemetry.on('ingest.resumed', (event) => counters.resumed.add(1, named(event.registry), upstreamOf(event))),
    telemetry.on('ingest.continued', ({ registry, bytes }) => {
      counters.continued.add(1, named(registry));
      counters.partialReused.add(bytes, named(registry));
    }),
    telemetry.on('ingest.finished', (event) => {
      const { registry, outcome, connections, upstreams } = event;
      counters.ingests.add(1, named(registry), outcome);
      for (const { upstream, bytes } of upstreams ?? [event]) {
        counters.ingestBytes.add(bytes, named(registry), upstreamOf({ registry, upstream }));
      }
      if (connections !== undefined) counters.split.add(1, named(registry));
      for (const { upstream, bytes } of upstreams ?? []) {
        counters.splitBytes.add(bytes, named(registry), upstreamOf({ registry, upstream }));
      }
    }),
  ];
}
