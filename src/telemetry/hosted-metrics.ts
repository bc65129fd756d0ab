import { Counter, Gauge } from './counters.ts';
import type { Telemetry } from './events.ts';

export interface HostedReadings {
  /** Repositories that something was pushed to, and what is in them: each digest once. Undefined while nothing is hosted. */
  readonly hosted?: () => Promise<HostedReading | undefined>;
  /** Uploads that have not ended; those that a request is at work on; the bytes of all of them. Undefined while nothing is hosted. */
  readonly uploads?: () => UploadsReading | undefined;
}

interface HostedReading {
  readonly repositories: number;
  readonly digests: number;
  readonly bytes: number;
}

interface UploadsReading {
  readonly open: number;
  readonly busy: number;
  readonly bytes: number;
}

type HostedCounters = ReturnType<typeof createHostedCounters>;

/** The metrics of hosted repositories, except gauges whose reader is not among the options. */
export function createHostedCounters({ hosted, uploads }: HostedReadings) {
  const ofHosted = (read: (reading: HostedReading) => number) => async () => {
    const reading = await hosted?.();
    return reading === undefined ? [] : read(reading);
  };
  const ofUploads = (read: (reading: UploadsReading) => number) => () => {
    const reading = uploads?.();
    return reading === undefined ? [] : read(reading);
  };
  return {
    hostedChanges: new Counter({
      name: 'entrepot_hosted_changes_total',
      help: 'Changes of hosted repositories. A blob was uploaded, mounted from another repository, or uploaded although it was there (present).',
      labels: ['registry', 'change'],
    }),
    hostedPushed: new Counter({
      name: 'entrepot_hosted_pushed_bytes_total',
      help: 'Bytes of blobs and manifests that clients sent to hosted repositories. What was mounted does not count.',
      labels: ['registry'],
    }),
    hostedCollected: new Counter({
      name: 'entrepot_hosted_collected_bytes_total',
      help: 'Bytes that collections removed from hosted repositories, by what each repository had.',
    }),
    ...(hosted && {
      hostedRepositories: new Gauge({
        name: 'entrepot_hosted_repositories',
        help: 'Hosted repositories that something was pushed to, emptied ones too; absent while nothing is hosted.',
        read: ofHosted(({ repositories }) => repositories),
      }),
      hostedDigests: new Gauge({
        name: 'entrepot_hosted_digests',
        help: 'Blobs and manifests of hosted repositories, each digest once.',
        read: ofHosted(({ digests }) => digests),
      }),
      hostedBytes: new Gauge({
        name: 'entrepot_hosted_bytes',
        help: 'Bytes of the blobs and manifests of hosted repositories, each digest once.',
        read: ofHosted(({ bytes }) => bytes),
      }),
    }),
    ...(uploads && {
      uploadsOpen: new Gauge({
        name: 'entrepot_uploads_open',
        help: 'Uploads that have neither ended nor been idle for too long.',
        read: ofUploads(({ open }) => open),
      }),
      uploadsBusy: new Gauge({
        name: 'entrepot_uploads_busy',
        help: 'Open uploads that a request is at work on.',
        read: ofUploads(({ busy }) => busy),
      }),
      uploadsBytes: new Gauge({
        name: 'entrepot_uploads_bytes',
        help: 'Bytes of open uploads.',
        read: ofUploads(({ bytes }) => bytes),
      }),
    }),
  };
}

/** Counts the events of hosted repositories. @param named the label of a registry */
export function countHosted(
  telemetry: Telemetry,
  counters: HostedCounters,
  named: (registry: string) => string,
): (() => void)[] {
  const { hostedChanges, hostedPushed, hostedCollected } = counters;
  return [
    telemetry.on('manifest.pushed', ({ registry, size }) => {
      hostedChanges.add(1, named(registry), 'manifest pushed');
      hostedPushed.add(size, named(registry));
    }),
    telemetry.on('manifest.deleted', ({ registry }) => hostedChanges.add(1, named(registry), 'manifest deleted')),
    telemetry.on('tag.moved', ({ registry }) => hostedChanges.add(1, named(registry), 'tag moved')),
    telemetry.on('tag.deleted', ({ registry }) => hostedChanges.add(1, named(registry), 'tag deleted')),
    telemetry.on('blob.pushed', ({ registry, size, how }) => {
      hostedChanges.add(1, named(registry), `blob ${how}`);
      if (how !== 'mounted') hostedPushed.add(size, named(registry));
    }),
    telemetry.on('blob.deleted', ({ registry }) => hostedChanges.add(1, named(registry), 'blob deleted')),
    telemetry.on('hosted.collected', ({ bytes }) => hostedCollected.add(bytes)),
  ];
}
