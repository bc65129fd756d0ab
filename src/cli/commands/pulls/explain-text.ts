import type { ImageExplanation, PullDetail, PullRequest } from '../../../admin/index.ts';
import { printable } from '../../../lib/index.ts';
import { formatBytes } from '../../../telemetry/index.ts';
import { count, formatDuration, formatInstant, shortDigest } from '../../format.ts';
import { formatRoute } from '../../route-text.ts';
import { formatMilliseconds, formatPulls, imageOf } from './pulls-table.ts';

type Fact = readonly [name: string, value: string | undefined];

/** A pull, told from its naming to its last request. */
export function formatPull(pull: PullDetail): string {
  const { id, at, running, outcome, requests, hits, bytes, size, fetched, durationMs, requestList, omitted } = pull;
  const sent =
    size === undefined || running !== true ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(size)}`;
  const facts: readonly Fact[] = [
    ['outcome', `${running === true ? 'under way, so far ' : ''}${OUTCOMES[outcome]}`],
    ['began', `${formatInstant(at)}, took ${formatMilliseconds(durationMs)}${running === true ? ' so far' : ''}`],
    ['asked by', describeClient(pull)],
    ['named by', NAMED_BY[pull.namedBy ?? ''] ?? pull.namedBy],
    ['rules', describeRule(pull)],
    ['requests', `${requests}, of which ${hits} were answered without an upstream`],
    [
      'sent',
      `${sent} to the client, ${formatBytes(fetched)} fetched for it, ${formatBytes(Math.max(0, bytes - fetched))} saved`,
    ],
  ];
  const more = omitted === 0 ? [] : [`and ${count(omitted, 'request')} more, which are counted only`];
  const lines = [
    `${imageOf(pull)}, pull ${id}`,
    ...factLines(facts),
    '',
    ...requestList.flatMap(requestLines),
    ...more,
  ];
  return `${lines.join('\n')}\n`;
}

/** What is known of an image, and what the next pull does. @param options `columns` of the terminal */
export function formatImage(
  explanation: ImageExplanation,
  options: { readonly who: string | undefined; readonly columns: number | undefined; readonly now: number },
): string {
  const { image, registry, namedBy, home, access, cache, upstreams, route, pulls } = explanation;
  const { now } = options;
  const facts: readonly Fact[] = [
    ['next pull', cache.next],
    ['registry', `${registry}, ${namedText(namedBy)}`],
    ['home', home === 'hosted' ? 'this server: it was pushed here' : 'its upstream'],
    [
      'rules',
      access === undefined
        ? undefined
        : [`${options.who ?? 'anonymous'}: ${access.text}`, access.rule, access.place].filter(Boolean).join(', '),
    ],
    ['stored', [STORED[cache.state], cache.digest].filter(Boolean).join(', ')],
    ['checked', describeFreshness(cache, now)],
    ['held', describeHeld(cache)],
    [
      'cooling',
      cache.cooling &&
        `the tag has moved to ${shortDigest(cache.cooling.digest)}, which clients get from ${formatInstant(cache.cooling.until)}`,
    ],
    ['pinned', cache.pinned ? 'yes, so it is not evicted' : undefined],
    ...upstreams.map(({ name, url, health }): Fact => ['upstream', `${name}, ${url}${describeHealth(health)}`]),
    ['by digest', route && formatRoute(route)],
  ];
  const table =
    pulls.length === 0 ? ['No pull of it is recorded.'] : ['Last pulls', formatPulls(pulls, options).trimEnd()];
  return `${[image, ...factLines(facts), '', ...table].join('\n')}\n`;
}

const OUTCOMES: Readonly<Record<PullDetail['outcome'], string>> = {
  failed: 'failed: a request of it was answered 5xx or cut, or what it asked for does not exist',
  refused: 'refused: the rules do not allow it',
  stale: 'stale: an upstream was down, and the cache answered',
  miss: 'miss: an upstream sent content',
  hit: 'hit: everything came from this server',
};

const NAMED_BY: Readonly<Record<string, string>> = {
  ns: 'the query ?ns= of a containerd client',
  host: 'the host name that the client asked',
  prefix: 'a short name in front of /v2/',
  path: 'the first component of the repository',
  default: 'nothing, so the default registry was meant',
};

const STORED: Readonly<Record<ImageExplanation['cache']['state'], string>> = {
  stored: 'all of it',
  partial: 'the manifest and some of its parts',
  missing: 'nothing of it',
};

/** `named by nothing, so the default registry was meant` */
function namedText(namedBy: string): string {
  return `named by ${NAMED_BY[namedBy] ?? namedBy}`;
}

function describeClient({ client, user, userAgent }: PullDetail): string {
  const address = client === '' ? 'a client of a Unix socket' : client;
  return (
    [user === undefined ? undefined : `${user} at`, address].filter(Boolean).join(' ') +
    (userAgent === undefined ? '' : `, ${userAgent}`)
  );
}

function describeRule({ rule, verdict }: PullDetail): string | undefined {
  if (rule === undefined && verdict === undefined) return undefined;
  const said = verdict === 'would-deny' ? 'would deny it, but are in audit mode' : (verdict ?? 'allowed');
  return rule === undefined ? said : `${said} by ${rule}`;
}

/** `2026-11-29 12:00:00Z, fresh for 40 min more` */
function describeFreshness({ checkedAt, freshUntil }: ImageExplanation['cache'], now: number): string | undefined {
  if (checkedAt === undefined) return undefined;
  if (freshUntil === undefined) return formatInstant(checkedAt);
  const left = freshUntil - now;
  const rest = left <= 0 ? 'not fresh any more' : `fresh for ${formatDuration(left / 1000)} more`;
  return `${formatInstant(checkedAt)}, ${rest}`;
}

function describeHeld({ held, digest }: ImageExplanation['cache']): string | undefined {
  if (held === undefined) return undefined;
  const at = digest === undefined ? '' : ` at ${shortDigest(digest)}`;
  return `by an operator${at}${held === '' ? '' : `: ${held}`}`;
}

function describeHealth(health: ImageExplanation['upstreams'][number]['health']): string {
  if (health === undefined || health.state === 'closed') return ', up';
  return `, suspended${health.reason === undefined ? '' : `: ${health.reason}`}`;
}

/** A request, why it was answered so, and what it asked of upstreams. */
function requestLines(request: PullRequest): readonly string[] {
  const { id, method, kind, reference, status, running, cache, reason, upstream, bytes, error } = request;
  const name = reference.includes(':') ? shortDigest(reference) : reference;
  const ended = status === 0 ? 'no response' : String(status);
  const said = [running === true ? 'under way' : ended, cache, upstream === undefined ? undefined : `from ${upstream}`];
  const facts: readonly Fact[] = [
    ['why', reason],
    ['time', describeTimes(request)],
    ['sent', bytes > 0 ? formatBytes(bytes) : undefined],
    ['error', error],
    ...request.asked.map((asked): Fact => ['asked', describeAsked(asked)]),
  ];
  return [printable(`${id}  ${method} ${kind} ${name}: ${said.filter(Boolean).join(' ')}`), ...factLines(facts), ''];
}

/** `12 ms: 0.1 ms for a slot, 0.4 ms at the gate, 8 ms to the first byte, 3.5 ms to send` */
function describeTimes({ slotMs, gateMs, firstByteMs, totalMs }: PullRequest): string {
  const steps: readonly (readonly [number | undefined, string])[] = [
    [slotMs, 'for a slot'],
    [gateMs, 'at the gate'],
    [firstByteMs, 'to the first byte'],
    [
      firstByteMs === undefined ? undefined : Math.max(0, totalMs - (slotMs ?? 0) - (gateMs ?? 0) - firstByteMs),
      'to send',
    ],
  ];
  const told = steps.flatMap(([time, what]) => (time === undefined ? [] : [`${formatMilliseconds(time)} ${what}`]));
  return [formatMilliseconds(totalMs), told.join(', ')].filter(Boolean).join(': ');
}

/** `hub api GET https://registry-1.docker.io/v2/…: 200 in 120 ms, after 121 ms` */
function describeAsked({
  upstream,
  purpose,
  method,
  url,
  status,
  durationMs,
  afterMs,
  error,
}: PullRequest['asked'][number]): string {
  const answer = status === 0 ? 'no response' : String(status);
  const why = error === undefined ? '' : `: ${error}`;
  return `${upstream} ${purpose} ${method} ${url}: ${answer} in ${formatMilliseconds(durationMs)}, after ${formatMilliseconds(afterMs)}${why}`;
}

function factLines(facts: readonly Fact[]): readonly string[] {
  return facts.flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [`  ${name.padEnd(NAME_WIDTH)}  ${printable(value)}`],
  );
}

const NAME_WIDTH = 9;
