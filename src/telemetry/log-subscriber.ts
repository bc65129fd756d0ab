import type { ConfigReloaded, Events, RequestFinished, Telemetry, UpstreamHealthChange } from './events.ts';
import type { IngestEvent } from './ingest-event.ts';
import type { Log } from './log.ts';
import type { CertificateOrdered, MitmHandshakeFailed } from './tls-events.ts';
import { createWouldDenyLog } from './would-deny-log.ts';

export interface LogEventsOptions {
  /** Whether each request is logged. @default true */
  readonly access?: boolean;
}

/**
 * Logs events until the returned function is called.
 *
 * Each request is one line `request`, with the keys of Rewriting Mirror (method, path, status, bytes, duration in
 * milliseconds, route, upstream) and more. Upstream requests, cache decisions and the life of transfers are logged at `debug`;
 * at other levels they have no subscriber, so that publishers can skip building them ({@link Telemetry.hears}). After a change
 * of level, subscribe again.
 */
export function logEvents(telemetry: Telemetry, log: Log, { access = true }: LogEventsOptions = {}): () => void {
  const subscriptions = [
    telemetry.on('warning', ({ message, error }) => log.warn(message, { error })),
    telemetry.on('blob.rotten', (event) => log.warn('blob.rotten', { ...event })),
    telemetry.on('cache.counted', (event) => log.info('cache.counted', { ...event })),
    telemetry.on('names.recovered', ({ found, source, backupAt }) => {
      const backup = backupAt === undefined ? undefined : new Date(backupAt).toISOString();
      log.warn('names.recovered', { found, source, backup });
    }),
    telemetry.on('visibility.changed', ({ registry, repository, isPublic }) =>
      log.info(isPublic ? 'a repository is public now' : 'a repository is no longer public', { registry, repository }),
    ),
    telemetry.on('cache.paused', ({ reason }) => log.warn('caching is paused', { reason })),
    telemetry.on('blob.oversized', (event) =>
      log.warn('blob larger than cache.max_size: it is fetched at every pull. Raise cache.max_size to keep it', {
        ...event,
      }),
    ),
    telemetry.on('access.would_deny', createWouldDenyLog(log)),
    telemetry.on('cache.resumed', () => log.info('caching is resumed')),
    telemetry.on('overload.began', (event) => log.warn('requests are turned away: limits.max_inflight', { ...event })),
    telemetry.on('overload.ended', ({ refused, durationMs }) =>
      log.info('no request is turned away any more', { refused, duration: milliseconds(durationMs) }),
    ),
    telemetry.on('config.reloaded', (event) => logReload(log, event)),
    telemetry.on('certificate.renewed', ({ listener, subject, expiresAt }) =>
      log.info('certificate.renewed', { listener, subject, expires: new Date(expiresAt).toISOString() }),
    ),
    telemetry.on('certificate.ordered', (event) => logOrder(log, event)),
    telemetry.on('account.changed', (event) => log.info('account.changed', { ...event })),
    telemetry.on('tag.held', ({ until, ...event }) =>
      log.info('tag.held', { ...event, until: until === undefined ? undefined : new Date(until).toISOString() }),
    ),
    telemetry.on('tag.unheld', (event) => log.info('tag.unheld', { ...event })),
    ...LOGGED_CHANGES.map((kind) => telemetry.on(kind, (event) => log.info(kind, { ...event }))),
    telemetry.on('webhook.state', ({ state, ...event }) =>
      log[state === 'working' ? 'info' : 'warn']('webhook.state', { state, ...event }),
    ),
    telemetry.on('webhook.lost', (event) => log.warn('webhook.lost', { ...event })),
    telemetry.on('schedule.ended', ({ startedAt, endedAt, errors: [first], ...event }) => {
      const duration = milliseconds(endedAt - startedAt);
      const reason = first === undefined ? undefined : `${first.image}${first.image === '' ? '' : ': '}${first.error}`;
      log[event.outcome === 'failed' ? 'warn' : 'info']('schedule.ended', {
        ...event,
        label: undefined,
        duration,
        reason,
      });
    }),
    telemetry.on('upstream.health', (event) => logHealth(log, event)),
    telemetry.on('mitm.handshake', (event) => logHandshake(log, event)),
    telemetry.on('ingest.continued', ({ bytes, size, ...event }) => {
      const reason = `continued at ${bytes} of ${size ?? 'unknown'} bytes from partial content`;
      log.info('ingest.continued', { ...ingestFields(event), reason });
    }),
    telemetry.on('ingest.finished', (event) => {
      const { outcome, reason, bytes, durationMs, connections, gain, upstreams = [] } = event;
      const split = connections === undefined ? {} : { connections, gain, upstreams: bytesOf(upstreams) };
      const fields = { ...ingestFields(event), outcome, bytes, duration: milliseconds(durationMs), ...split, reason };
      if (outcome === 'failed') log.warn('ingest.finished', fields);
      else log.debug('ingest.finished', fields);
    }),
  ];
  if (access) subscriptions.push(telemetry.on('request.finished', (event) => logRequest(log, event)));
  if (log.isEnabled('debug')) subscriptions.push(...debugSubscriptions(telemetry, log));
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe();
  };
}

/** What changed in hosted repositories, and who changed it. */
const LOGGED_CHANGES = [
  'manifest.pushed',
  'manifest.deleted',
  'tag.moved',
  'tag.deleted',
  'blob.deleted',
  'hosted.collected',
  'tag.pinned',
  'tag.unpinned',
] as const;

const LOGGED_AS_PUBLISHED = [
  'blob.pushed',
  'upstream.failover',
  'upstream.quota',
  'transport.fallback',
  'dns.answered',
  'range.passed',
  'cache.swept',
  'blob.adopted',
  'cache.decision',
  'webhook.delivery',
] as const;

function debugSubscriptions(telemetry: Telemetry, log: Log): (() => void)[] {
  return [
    telemetry.on('upstream.request', (event) => {
      const { durationMs, purpose, error, body: _, repository: __, ...fields } = event;
      log.debug('upstream.request', { ...fields, duration: milliseconds(durationMs), purpose, error });
    }),
    telemetry.on('ingest.started', (event) => log.debug('ingest.started', ingestFields(event))),
    telemetry.on('ingest.joined', (event) =>
      log.debug('ingest.joined', { ...ingestFields(event), followers: event.followers }),
    ),
    telemetry.on('ingest.resumed', (event) =>
      log.debug('ingest.resumed', { ...ingestFields(event), offset: event.offset, reason: event.reason }),
    ),
    telemetry.on('mitm.exchange', (event) => log.debug('exchange', { ...event })),
    ...LOGGED_AS_PUBLISHED.map((kind) => telemetry.on(kind, (event) => log.debug(kind, { ...event }))),
  ];
}

function logOrder(log: Log, { domains, server, outcome, durationMs, reason, nextAttemptAt }: CertificateOrdered): void {
  const fields = { domains: domains.join(','), server, outcome, duration: milliseconds(durationMs) };
  if (outcome === 'issued') return log.info('certificate.ordered', fields);
  const next = nextAttemptAt === undefined ? undefined : new Date(nextAttemptAt).toISOString();
  log.warn('certificate.ordered', { ...fields, reason, next });
}

function logReload(log: Log, { outcome, source, changed, registries, restart, problems }: ConfigReloaded): void {
  if (outcome === 'refused') {
    log.error('config.reloaded', { outcome, source, problems });
    return;
  }
  log.info('config.reloaded', { outcome, source, changed, registries });
  if (restart.length > 0) log.warn('some of the configuration takes a restart', { options: restart });
}

/** An upstream's failure is a warning and its recovery is information; a retry in between is for debugging. */
function logHealth(log: Log, { registry, upstream, scope, state, reason, retryAfterMs }: UpstreamHealthChange): void {
  const level = state === 'open' ? 'warn' : state === 'closed' ? 'info' : 'debug';
  const retryAfter = state === 'open' ? { retryAfter: milliseconds(retryAfterMs) } : {};
  log[level]('upstream.health', { registry, upstream, scope, state, reason, ...retryAfter });
}

/** An operator must install our authority on a client that does not trust it. Other failed handshakes are routine. */
function logHandshake(log: Log, event: MitmHandshakeFailed): void {
  if (event.reason !== 'untrusted') log.debug('tls handshake failed', { ...event });
  else log.info('the client does not trust the authority of forward_proxy.mitm; see /help', { ...event });
}

/** A failure of ours or of an upstream is a warning; a client that disconnects or asks for a missing image is not. */
function logRequest(log: Log, event: RequestFinished): void {
  const level = event.status >= 500 ? 'warn' : 'info';
  log[level]('request', {
    id: event.id,
    method: event.method,
    path: event.path,
    status: event.status,
    bytes: event.bytes,
    // A pull sends no body; a tunnel does.
    received: event.received === 0 ? undefined : event.received,
    duration: milliseconds(event.durationMs),
    client: event.client,
    user: event.user,
    route: event.route,
    entrance: event.entrance,
    registry: event.registry,
    repository: event.repository,
    upstream: event.upstream,
    cache: event.cache,
    error: event.error,
  });
}

/** `{"hub": 12, "mirror": 34}` */
function bytesOf(upstreams: NonNullable<Events['ingest.finished']['upstreams']>): Readonly<Record<string, number>> {
  return Object.fromEntries(upstreams.map(({ upstream, bytes }) => [upstream, bytes]));
}

function ingestFields({ id, registry, repository, digest, upstream }: IngestEvent) {
  return { id, registry, repository, digest, upstream };
}

/** Rounds to a tenth of a millisecond. */
function milliseconds(duration: number): number {
  return Math.round(duration * 10) / 10;
}
