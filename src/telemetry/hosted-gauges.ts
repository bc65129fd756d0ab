import { Gauge } from './counters.ts';

/** What was pushed to this server. */
export interface HostedReading {
  readonly repositories: number;
  /** Of distinct digests. */
  readonly bytes: number;
  /** Uploads that were begun and not ended. */
  readonly uploads: number;
  readonly uploadBytes: number;
}

/** Gauges of what was pushed to this server; without values where nothing is hosted. */
export function hostedGauges(hosted: () => Promise<HostedReading | undefined>) {
  const read = (value: (reading: HostedReading) => number) => async () => {
    const reading = await hosted();
    return reading === undefined ? [] : value(reading);
  };
  return {
    hostedRepositories: new Gauge({
      name: 'entrepot_hosted_repositories',
      help: 'Repositories that were pushed to this server, emptied ones too; absent where nothing is hosted.',
      read: read(({ repositories }) => repositories),
    }),
    hostedBytes: new Gauge({
      name: 'entrepot_hosted_bytes',
      help: 'Bytes of what was pushed to this server, each digest once.',
      read: read(({ bytes }) => bytes),
    }),
    hostedUploads: new Gauge({
      name: 'entrepot_hosted_uploads',
      help: 'Uploads that were begun and not ended.',
      read: read(({ uploads }) => uploads),
    }),
    hostedUploadBytes: new Gauge({
      name: 'entrepot_hosted_upload_bytes',
      help: 'Bytes of uploads that were begun and not ended.',
      read: read(({ uploadBytes }) => uploadBytes),
    }),
  };
}
