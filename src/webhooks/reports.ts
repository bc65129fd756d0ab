import type { Digest } from '../oci/index.ts';
import type { Events, Telemetry } from '../telemetry/index.ts';

/*
 * What of this server's events webhooks report. A further kind of event is one word in WebhookEvent and in the configuration,
 * and the telemetry events that it is made of in REPORTS.
 */

/** The kinds of events that a webhook can choose. */
export type RepositoryEvent = 'push' | 'delete' | 'tag';
export type ServerEvent = 'schedule' | 'disk';
export type WebhookEvent = RepositoryEvent | ServerEvent;

/** What an event is about: the `target` of distribution's notifications. */
export interface Target {
  readonly mediaType?: string;
  /** Bytes of the manifest. */
  readonly size?: number;
  readonly digest?: Digest;
  readonly tag?: string;
  /** Where the tag pointed before. */
  readonly from?: Digest;
}

/** One thing that happened in one repository. */
export interface RepositoryReport {
  readonly event: RepositoryEvent;
  readonly registry: string;
  readonly repository: string;
  /** The name of the principal who did it. */
  readonly by: string;
  /** The address of the client. */
  readonly client: string;
  /** At least one. */
  readonly targets: readonly [Target, ...Target[]];
}

/** One thing that happened to this server, and in no repository. */
export interface ServerReport {
  readonly event: ServerEvent;
  /** What is reported, under the name of the event. */
  readonly detail: Readonly<Record<string, unknown>>;
}

export type Report = RepositoryReport | ServerReport;

type Reports = { readonly [Kind in keyof Events]?: (event: Events[Kind]) => Report | undefined };

/** Blobs are not reported: every manifest is pushed after its blobs, and names them. */
const REPORTS = {
  // One for each tag, as distribution has it: a receiver looks at `target.tag`.
  'manifest.pushed': ({ digest, mediaType, size, tags, ...event }) => {
    const target = { mediaType, size, digest };
    const [first, ...more] = tags.map((tag) => ({ ...target, tag }));
    return { event: 'push', ...placeOf(event), targets: [first ?? target, ...more] };
  },
  // With a digest: a manifest. With a tag: a tag.
  'manifest.deleted': ({ digest, tags, ...event }) => ({
    event: 'delete',
    ...placeOf(event),
    targets: [{ digest }, ...tags.map((tag) => ({ tag, from: digest }))],
  }),
  'tag.deleted': ({ tag, digest, ...event }) => ({
    event: 'delete',
    ...placeOf(event),
    targets: [{ tag, from: digest }],
  }),
  'tag.moved': ({ tag, digest, from, ...event }) => ({
    event: 'tag',
    ...placeOf(event),
    targets: [{ digest, tag, ...(from === undefined ? {} : { from }) }],
  }),
  'schedule.ended': ({
    schedule,
    kind,
    outcome,
    recovered,
    startedAt,
    endedAt,
    done,
    failed,
    fetched,
    sent,
    errors,
  }) => {
    if (outcome !== 'failed' && !recovered) return undefined;
    const times = { startedAt: new Date(startedAt).toISOString(), endedAt: new Date(endedAt).toISOString() };
    const state = recovered ? 'recovered' : 'failed';
    const bytes = { fetched, ...(sent !== undefined && { sent }) };
    return { event: 'schedule', detail: { name: schedule, kind, state, ...times, done, failed, ...bytes, errors } };
  },
  'cache.paused': ({ reason }) => ({ event: 'disk', detail: { state: 'low', reason } }),
  'cache.resumed': () => ({ event: 'disk', detail: { state: 'resumed' } }),
} as const satisfies Reports;

/** Calls `take` with every report from now on, until the returned function is called. */
export function onReports(telemetry: Telemetry, take: (report: Report) => void): () => void {
  const kinds = Object.keys(REPORTS) as (keyof typeof REPORTS)[];
  const subscriptions = kinds.map((kind) => {
    // The table has each kind with the event of its own.
    const reportOf = REPORTS[kind] as (event: Events[typeof kind]) => Report | undefined;
    return telemetry.on(kind, (event) => {
      const report = reportOf(event);
      if (report !== undefined) take(report);
    });
  });
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe();
  };
}

type Place = Pick<RepositoryReport, 'registry' | 'repository' | 'by' | 'client'>;

function placeOf({ registry, repository, by, client }: Place): Place {
  return { registry, repository, by, client };
}
