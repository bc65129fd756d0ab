import type {
  CertificateStatus,
  HeldTag,
  ServerStatus,
  TransferStatus,
  UpstreamStatus,
  WebhookStatus,
} from '../../../admin/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { count, formatDuration, formatProgress, formatTable, shortDigest } from '../../format.ts';
import { formatRoute } from '../../route-text.ts';

/** The server, its cache, its upstreams and its transfers. @param now milliseconds since 1970 */
export function formatStatus(status: ServerStatus, now: number): string {
  const {
    version,
    pid,
    uptimeSeconds,
    listeners,
    configSource,
    warnings = [],
    held = [],
    transfers,
    upstreams = [],
    certificates = [],
    webhooks = [],
    routes = [],
  } = status;
  const facts: readonly (readonly [string, string])[] = [
    ['listening', listeners.join(', ')],
    ['configuration', configSource],
    ['cache', describeCache(status.cache)],
    ...describePartial(status.cache),
    ...describePause(status.cache),
    ...describeHosted(status.hosted),
    ...describeRequests(status.requests),
    ...certificates.map((certificate) => ['certificate', describeCertificate(certificate, now)] as const),
    ...webhooks.map((webhook) => ['webhook', describeWebhook(webhook)] as const),
    ...routes.map((route) => ['route', formatRoute(route)] as const),
    ...held.map((tag) => ['held', describeHeld(tag)] as const),
    ...warnings.map((warning) => ['warning', warning] as const),
  ];
  const lines = [
    `entrepot ${version}, pid ${pid}, up ${formatDuration(uptimeSeconds)}`,
    ...facts.map(([name, value]) => `  ${name.padEnd(13)}  ${value}`),
    '',
  ];
  if (upstreams.length > 0) {
    const head = ['REGISTRY', 'UPSTREAM', 'STATE', 'PULLS LEFT', 'TROUBLE'];
    lines.push(...formatTable([head, ...upstreams.map((upstream) => upstreamRow(upstream, now))]), '');
  }
  if (transfers.length === 0) return `${lines.join('\n')}\nNo transfers under way.\n`;
  lines.push(`${count(transfers.length, 'transfer')} under way`);
  const head = ['ID', 'IMAGE', 'DIGEST', 'PROGRESS', 'RATE', 'FOLLOWERS', 'UPSTREAM'];
  return `${[...lines, ...formatTable([head, ...transfers.map((transfer) => transferRow(transfer, now))])].join('\n')}\n`;
}

function describeCache(cache: ServerStatus['cache']): string {
  if (cache === 'off') return 'off';
  const limit = cache.maxSize === undefined ? '' : ` of ${formatBytes(cache.maxSize)}`;
  return `${cache.dir}: ${count(cache.blobs, 'blob')}, ${formatBytes(cache.bytes)}${limit}`;
}

/** `1 blob, 6.0 GiB, which the next pull continues` */
function describePartial(cache: ServerStatus['cache']): readonly (readonly [string, string])[] {
  if (cache === 'off' || cache.partial === undefined || cache.partial.count === 0) return [];
  const { count: blobs, bytes } = cache.partial;
  return [['partial', `${count(blobs, 'blob')}, ${formatBytes(bytes)}, which the next pull continues`]];
}

function describePause(cache: ServerStatus['cache']): readonly (readonly [string, string])[] {
  if (cache === 'off' || cache.paused === undefined) return [];
  return [['caching', `paused, pulls pass through: ${cache.paused.reason}`]];
}

/** `3 repositories, 12 blobs and manifests, 1.2 GB; 2 uploads under way, 34 MB` */
function describeHosted(hosted: ServerStatus['hosted']): readonly (readonly [string, string])[] {
  if (hosted === undefined) return [];
  const { repositories, digests, bytes, uploads, uploadBytes } = hosted;
  const names = repositories === 1 ? '1 repository' : `${repositories} repositories`;
  const open = uploads === 0 ? '' : `; ${count(uploads, 'upload')} under way, ${formatBytes(uploadBytes)}`;
  return [['hosted', `${names}, ${digests} blobs and manifests, ${formatBytes(bytes)}${open}`]];
}

/** `docker.io/library/nginx:1.27 at sha256:0123456789ab until 2026-12-06: broken build` */
function describeHeld({ image, digest, until, reason }: HeldTag): string {
  const end = until === undefined ? '' : ` until ${new Date(until).toISOString().slice(0, 10)}`;
  return `${image} at ${shortDigest(digest)}${end}${reason === '' ? '' : `: ${reason}`}`;
}

/** Only where requests wait or are refused. */
function describeRequests(requests: ServerStatus['requests']): readonly (readonly [string, string])[] {
  if (requests === undefined || (requests.waiting === 0 && !requests.overloaded)) return [];
  const { inflight, waiting, maxInflight, overloaded } = requests;
  const most = maxInflight === undefined ? '' : ` of ${maxInflight}`;
  const refused = overloaded ? '; some are refused' : '';
  return [['requests', `${inflight}${most} under way, ${waiting} waiting${refused}`]];
}

/** `mirror.example.com, expires 2027-02-27, renewed from 2027-01-28; 2 orders failed: …` */
function describeCertificate({ names, expiresAt, renewal }: CertificateStatus, now: number): string {
  const day = (time: number) => new Date(time).toISOString().slice(0, 10);
  const validity =
    expiresAt === undefined ? 'none yet' : `${expiresAt < now ? 'expired' : 'expires'} ${day(expiresAt)}`;
  const parts = [`${names.replaceAll('DNS:', '')}: ${validity}`];
  if (renewal !== undefined) {
    const { server, orderAt, isOrdering, failures = 0, error } = renewal;
    const next = orderAt <= now ? 'now' : formatTime(orderAt, now);
    const host = new URL(server).host;
    parts.push(isOrdering ? `ordered at ${host} now` : `next order at ${host} ${next}`);
    if (failures > 0) parts.push(`${count(failures, 'order')} failed: ${error ?? ''}`);
  }
  return parts.join('; ');
}

/** `ci: failing, 3 queued, 2 lost: it answered 500` */
function describeWebhook({ hook, state, queued, givenUp, dropped, lastFailure }: WebhookStatus): string {
  const lost = givenUp + dropped === 0 ? '' : `, ${givenUp + dropped} lost`;
  const isWrong = state === 'failing' || state === 'gone';
  const reason = isWrong && lastFailure !== undefined ? `: ${lastFailure.reason}` : '';
  return `${hook}: ${state}, ${queued} queued${lost}${reason}`;
}

/** A day, or for less than two days the time that is left. */
function formatTime(time: number, now: number): string {
  const left = time - now;
  return left < 2 * 86_400_000
    ? `in ${formatDuration(left / 1000)}`
    : `on ${new Date(time).toISOString().slice(0, 10)}`;
}

/**
 * `hub: 2 connections, 8.0 MiB/s; mirror: 1 connection, 4.0 MiB/s; 2.9 times one connection` where it uses several connections, else
 * `hub`.
 */
function describeUpstreams({ upstream, upstreams = [], gain }: TransferStatus): string {
  if (upstreams.length === 0) return upstream;
  const shares = upstreams.map((each) => {
    const { connections, bytesPerSecond } = each;
    return `${each.upstream}: ${count(connections, 'connection')}, ${formatBytes(bytesPerSecond)}/s`;
  });
  return [...shares, ...(gain === undefined ? [] : [`${gain.toFixed(1)} times one connection`])].join('; ');
}

function upstreamRow(upstream: UpstreamStatus, now: number): readonly string[] {
  const { registry, upstream: name, reason, since, quota = [] } = upstream;
  const pulls = quota.map(({ credential, limit, remaining }) => {
    const of = limit === undefined ? '' : ` of ${limit}`;
    return `${remaining}${of} (${credential})`;
  });
  const lasting = since === undefined ? '' : `for ${formatDuration((now - since) / 1000)}: `;
  return [
    registry,
    name,
    describeState(upstream, now),
    pulls.join(', '),
    reason === undefined ? '' : `${lasting}${reason}`,
  ];
}

/** Scopes of the upstream's health but `all`. */
const SUBJECTS: Readonly<Record<string, string>> = {
  pull: ' for manifests',
  check: ' for tag checks',
  list: ' for lists',
  blob: ' for blobs',
};

/** `up`, `suspended, 40 s left`, `suspended for blobs, 40 s left`, `retried by the next request for blobs` */
function describeState({ state, scope, openUntil }: UpstreamStatus, now: number): string {
  if (state === 'closed') return 'up';
  const subject = SUBJECTS[scope] ?? '';
  if (state === 'half-open') return `retried by the next request${subject}`;
  return `suspended${subject}, ${formatDuration(Math.ceil(((openUntil ?? now) - now) / 1000))} left`;
}

function transferRow(transfer: TransferStatus, now: number): readonly string[] {
  const { id, registry, repository, digest, bytes, followers, startedAt } = transfer;
  const seconds = Math.max(0.001, (now - startedAt) / 1000);
  return [
    id,
    `${registry}/${repository}`,
    digest === undefined ? '-' : shortDigest(digest),
    formatProgress(transfer),
    `${formatBytes(Math.round(bytes / seconds))}/s`,
    String(followers),
    describeUpstreams(transfer),
  ];
}
