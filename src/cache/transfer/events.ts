import type { Telemetry } from '../../telemetry/index.ts';
import type { Ingest, IngestObserver } from './ingest.ts';

/** Who else hears how a transfer goes. */
export interface IngestListeners {
  /** Told where the disk refuses to take it. */
  readonly onRefusal?: ((error: unknown) => void) | undefined;
  /** Told when nothing more will happen, before it is published. */
  readonly onSettled: (ingest: Ingest) => void;
}

/** Publishes what happens to a transfer. */
export function publishIngest(telemetry: Telemetry, { onRefusal, onSettled }: IngestListeners): IngestObserver {
  return {
    opened: (ingest) => telemetry.publish('ingest.started', describeIngest(ingest)),
    resumed: (ingest, reason) =>
      telemetry.publish('ingest.resumed', { ...describeIngest(ingest), offset: ingest.written, reason }),
    refused: (_, error) => onRefusal?.(error),
    settled: (ingest, outcome, error) => {
      onSettled(ingest);
      telemetry.publish('ingest.finished', {
        ...describeIngest(ingest),
        bytes: ingest.written,
        durationMs: Date.now() - ingest.startedAt,
        outcome,
        ...(error === undefined ? {} : { reason: error.message }),
      });
    },
  };
}

/** What every event says of its transfer. */
export function describeIngest({ id, repository, digest, upstream }: Ingest) {
  return { id, registry: repository.registry, repository: repository.repository, digest, upstream };
}
