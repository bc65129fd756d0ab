import type { LiveEvent, TransferStatus } from '../../admin/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { LiveSource } from './hub.ts';

/** Milliseconds between two reports of the progress of transfers. */
const REPORT_EVERY = 1000;
/** Transfers that are reported of, the newest: as many as the overview lists. */
const MAX_TRANSFERS = 200;

/** The events of the telemetry that clients of the API follow. */
export function telemetrySource(telemetry: Telemetry): LiveSource {
  return (publish) => {
    const tag = (
      change: (LiveEvent & { readonly kind: 'tag' })['data']['change'],
      event: { readonly registry: string; readonly repository: string; readonly tag: string; readonly digest: string },
    ): void => {
      const { registry, repository, tag: name, digest } = event;
      publish({ kind: 'tag', data: { registry, repository, tag: name, change, digest } });
    };
    const subscriptions = [
      telemetry.on('ingest.finished', ({ id, registry, repository, outcome, bytes, reason }) => {
        const why = reason === undefined ? {} : { reason };
        publish({ kind: 'transfer.ended', data: { id, registry, repository, outcome, bytes, ...why } });
      }),
      telemetry.on('tag.moved', (event) => tag('moved', event)),
      telemetry.on('tag.deleted', (event) => tag('deleted', event)),
      telemetry.on('tag.held', (event) => tag('held', event)),
      telemetry.on('tag.unheld', (event) => tag('unheld', event)),
      telemetry.on('upstream.health', ({ registry, upstream, state, scope, reason }) =>
        publish({ kind: 'health', data: { registry, upstream, state, scope, reason } }),
      ),
      telemetry.on('cache.swept', ({ blobs, freed, left }) =>
        publish({ kind: 'evicted', data: { blobs, freed, left } }),
      ),
      telemetry.on('cache.paused', ({ reason }) => publish({ kind: 'cache', data: { paused: true, reason } })),
      telemetry.on('cache.resumed', () => publish({ kind: 'cache', data: { paused: false } })),
      telemetry.on('config.reloaded', ({ outcome, problems }) =>
        publish({ kind: 'reloaded', data: { outcome, problems } }),
      ),
    ];
    return () => {
      for (const unsubscribe of subscriptions) unsubscribe();
    };
  };
}

/** The progress of transfers, once a second: of those that have moved since. */
export function transferSource(transfers: () => readonly TransferStatus[]): LiveSource {
  return (publish) => {
    let before = new Map<string, number>();
    let readAt = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      const seconds = (now - readAt) / 1000;
      readAt = now;
      const after = new Map<string, number>();
      for (const transfer of transfers().slice(-MAX_TRANSFERS)) {
        const { id, bytes } = transfer;
        const had = before.get(id);
        after.set(id, bytes);
        if (had === bytes) continue;
        const speed = had === undefined ? {} : { bytesPerSecond: Math.round((bytes - had) / seconds) };
        publish({ kind: 'transfer', data: { ...transfer, ...speed } });
      }
      before = after;
    }, REPORT_EVERY).unref();
    return () => clearInterval(timer);
  };
}
