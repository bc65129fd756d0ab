import type { Events, Telemetry } from '../../telemetry/index.ts';
import type { Capacity } from '../capacity.ts';
import type { Ingest } from './ingest.ts';
import type { IngestObserver } from './ingest-types.ts';

interface IngestListeners {
  /** Called where the disk refuses the bytes. */
  readonly capacity: Pick<Capacity, 'refused'>;
  /** Called when the transfer has settled, before that is published. */
  readonly onSettled: (ingest: Ingest) => void;
}

/** Publishes the events of a transfer. */
export function publishIngest(telemetry: Telemetry, { capacity, onSettled }: IngestListeners): IngestObserver<Ingest> {
  return {
    opened: (ingest) => telemetry.publish('ingest.started', describeIngest(ingest)),
    resumed: (ingest, reason) =>
      telemetry.publish('ingest.resumed', { ...describeIngest(ingest), offset: ingest.written, reason }),
    corrected: ({ digest, repository }, liars, trusted) =>
      telemetry.publish('warning', {
        message:
          `${liars} sent wrong bytes of ${digest}, of ${repository.registry}. They were fetched again from ${trusted}. ` +
          `For ten minutes ${liars} is asked last for this blob`,
      }),
    continued: (ingest, bytes) =>
      telemetry.publish('ingest.continued', { ...describeIngest(ingest), bytes, size: ingest.size }),
    refused: (_, error) => capacity.refused(error),
    settled: (ingest, outcome, error) => {
      onSettled(ingest);
      telemetry.publish('ingest.finished', {
        ...describeIngest(ingest),
        // What an earlier transfer had fetched is not fetched again.
        bytes: Math.max(0, ingest.received - ingest.kept),
        durationMs: Date.now() - ingest.startedAt,
        outcome,
        ...(error === undefined ? {} : { reason: error.message }),
        ...splitOf(ingest),
      });
    },
  };
}

/** The fields that every event of a transfer has. */
export function describeIngest({ id, repository, digest, upstream, request }: Ingest) {
  return { id, registry: repository.registry, repository: repository.repository, digest, upstream, request };
}

/** What more than one connection did for it; nothing where it had one. */
function splitOf({ split }: Ingest): Pick<Events['ingest.finished'], 'connections' | 'gain' | 'upstreams'> {
  const { connections, gain } = split;
  if (connections < 2) return {};
  const upstreams = split.upstreams.map(({ upstream, bytes }) => ({ upstream, bytes }));
  return { connections, upstreams, ...(gain !== undefined && { gain: Math.round(gain * 100) / 100 }) };
}
