import { orderedId } from './ordered-id.ts';
import type { Report, RepositoryEvent, RepositoryReport, ServerReport, Target, WebhookEvent } from './reports.ts';

/** What every body has of this server. */
export interface Source {
  /** `HOST` or `HOST:PORT`: of `public_url`, else the name of this machine. */
  readonly addr: string;
  /** The address that clients use, where `public_url` has it; without a trailing slash. */
  readonly url: string | undefined;
  /** Of this process. */
  readonly instance: string;
}

/** What a delivery carries: `ping` is that of `entrepot webhooks test`. */
export type SentEvent = WebhookEvent | 'ping';

/**
 * The media type of distribution's notifications, which tools that listen to registries read.
 * Source: https://distribution.github.io/distribution/about/notifications/
 */
export const MEDIA_TYPE = 'application/vnd.docker.distribution.events.v2+json';

/** Events in one body, so that it stays below 20 KiB (Standard Webhooks 1.0.0, Payload size). */
const MAX_EVENTS = 16;

const METHODS: Readonly<Record<RepositoryEvent, string>> = { push: 'PUT', tag: 'PUT', delete: 'DELETE' };

/** The bodies that report something, each with at most sixteen events. @param time milliseconds since the epoch */
export function bodiesOf(report: Report, { source, time }: { readonly source: Source; readonly time: number }) {
  if ('detail' in report) return [serverBody(report, { source, time })];
  const events = report.targets.map((target) => ({
    ...eventOf(report.event, time),
    target: targetOf(report, { target, source }),
    // What distribution has here besides is not known any more when something is reported; its readers expect the fields.
    request: {
      id: '',
      addr: report.client,
      ...(source.url === undefined ? {} : { host: source.addr }),
      method: METHODS[report.event],
      useragent: '',
    },
    actor: { name: report.by },
    source: { addr: source.addr, instanceID: source.instance },
  }));
  const bodies: string[] = [];
  for (let at = 0; at < events.length; at += MAX_EVENTS) {
    bodies.push(JSON.stringify({ events: events.slice(at, at + MAX_EVENTS) }));
  }
  return bodies;
}

/** The body of a test. */
export function pingBody(context: { readonly source: Source; readonly time: number }): string {
  return bodyWithoutRepository('ping', {}, context);
}

function serverBody({ event, detail }: ServerReport, context: { readonly source: Source; readonly time: number }) {
  return bodyWithoutRepository(event, { [event]: detail }, context);
}

/** Readers of distribution's form expect its fields, whatever the event is about. */
function bodyWithoutRepository(
  action: SentEvent,
  detail: Readonly<Record<string, unknown>>,
  { source, time }: { readonly source: Source; readonly time: number },
): string {
  const event = {
    ...eventOf(action, time),
    ...detail,
    target: { repository: '' },
    request: { id: '', method: '', useragent: '' },
    actor: {},
    source: { addr: source.addr, instanceID: source.instance },
  };
  return JSON.stringify({ events: [event] });
}

function eventOf(action: SentEvent, time: number) {
  return { id: orderedId(), timestamp: new Date(time).toISOString(), action };
}

function targetOf({ registry, repository }: RepositoryReport, { target, source }: { target: Target; source: Source }) {
  const { mediaType, size, digest, tag, from } = target;
  // As a pull from this server has it.
  const name = `${registry}/${repository}`;
  return {
    ...(mediaType === undefined ? {} : { mediaType }),
    ...(size === undefined ? {} : { size, length: size }),
    ...(digest === undefined ? {} : { digest }),
    repository: name,
    ...(source.url === undefined || digest === undefined
      ? {}
      : { url: `${source.url}/v2/${name}/manifests/${digest}` }),
    ...(tag === undefined ? {} : { tag }),
    ...(from === undefined ? {} : { from }),
    registry,
  };
}
