import { type Caller, describeTransfer, type Overview, pullShownTo } from '../../admin/index.ts';
import type { Ingest } from '../../cache/index.ts';
import { loadPullReading } from '../../pulls/index.ts';
import { freeSpace } from '../../store/index.ts';
import { describeUpstreams } from '../generation.ts';
import type { RunningServer } from '../running-server.ts';
import { addUp, isSeenBy, type RepositorySums, sumsOf } from './figure-sums.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Pulls and transfers that are listed. */
const MOST_LISTED = 200;
/** Milliseconds for which the sums of earlier days are not read again. */
const MONTH_FOR = 60_000;
/** Milliseconds over which the speed of a transfer is measured, at least. */
const SPEED_OVER = 500;

type Parts = Pick<RunningServer, 'parts' | 'live' | 'version' | 'startedAt'>;

/** What the server does now, and what it did. */
export async function overviewOf(server: Parts, caller: Caller): Promise<Overview> {
  const { parts, live, version, startedAt } = server;
  const { config, notes } = live.current;
  const { admission, upstreamSets, recording } = parts;
  const { recorder } = recording;
  const now = Date.now();
  const { maxInflight } = config.limits;
  const running = await seenOf(
    recorder.open().filter((pull) => pull.running === true),
    caller,
  );
  const transfers = await seenOf([...parts.cache.transfers].map(describeWithSpeed).toReversed(), caller);
  return {
    version,
    now,
    startedAt,
    ...(await figuresOf(server, caller, now)),
    rates: recorder.rates,
    pulls: running.slice(0, MOST_LISTED).map((pull) => pullShownTo(caller, pull)),
    pullCount: running.length,
    transfers: transfers.slice(0, MOST_LISTED),
    transferCount: transfers.length,
    upstreams: describeUpstreams(live.current, upstreamSets).filter(
      ({ state, quota = [] }) => state !== 'closed' || quota.length > 0,
    ),
    cache: await cacheOf(server),
    requests: {
      inflight: admission.inflight,
      waiting: admission.waiting,
      ...(maxInflight === 0 ? {} : { maxInflight }),
    },
    warnings: notes.length,
  };
}

async function cacheOf({ parts, live }: Parts): Promise<Overview['cache']> {
  const { cache: settings } = live.current.config;
  const { cache, hosted } = parts;
  if (settings === 'off') return 'off';
  const mirrored = await cache.totals();
  const pushed = await hosted.read();
  const disk = await freeSpace(settings.dir).catch(() => undefined);
  return {
    blobs: mirrored.blobs + (pushed?.digests ?? 0),
    bytes: mirrored.bytes + (pushed?.bytes ?? 0),
    ...(settings.maxSize === undefined ? {} : { maxSize: settings.maxSize }),
    ...(cache.pause === undefined ? {} : { paused: cache.pause.reason }),
    ...(disk === undefined ? {} : { disk }),
  };
}

interface EarlierDays {
  readonly from: number;
  readonly to: number;
  readonly readAt: number;
  /** When the record began that was read. */
  readonly since: number;
  readonly repositories: Promise<readonly RepositorySums[]>;
}

const earlier = new WeakMap<Parts['parts'], EarlierDays>();

/** The last 24 hours, by whole hours, and 30 days, by whole days in UTC. */
async function figuresOf({ parts }: Parts, caller: Caller, now: number): Promise<Pick<Overview, 'day' | 'month'>> {
  const { readFigures } = await loadPullReading();
  const { recorder } = parts.recording;
  const read = async (from: number, to: number): Promise<readonly RepositorySums[]> =>
    (await readFigures(recorder, { from, to, step: HOUR, isSeen: () => true })).repositories;
  const today = now - (now % DAY);
  const from = today - 29 * DAY;
  let days = earlier.get(parts);
  // The days before are many rows, and change no more.
  const { since } = recorder;
  if (days?.from !== from || days.since !== since || now - days.readAt > MONTH_FOR) {
    days = { from, to: today, readAt: now, since, repositories: read(from, today) };
    earlier.set(parts, days);
    days.repositories.catch(() => earlier.delete(parts));
  }
  const lastDay = await read(now - (now % HOUR) - 23 * HOUR, now + HOUR);
  const month = [...(await days.repositories), ...(await read(today, now + HOUR))];
  return {
    day: sumsOf(addUp(await seenOf(lastDay, caller))),
    month: sumsOf(addUp(await seenOf(month, caller))),
  };
}

/** What a caller is told of; it is asked about each repository once. */
async function seenOf<T extends { readonly registry: string; readonly repository: string }>(
  entries: readonly T[],
  caller: Caller,
): Promise<readonly T[]> {
  if (caller.seesAll) return entries;
  const answers = new Map<string, boolean>();
  const seen: T[] = [];
  for (const entry of entries) {
    const key = `${entry.registry}/${entry.repository}`;
    const isSeen = answers.get(key) ?? (await isSeenBy(caller, entry));
    answers.set(key, isSeen);
    if (isSeen) seen.push(entry);
  }
  return seen;
}

interface Measured {
  readonly at: number;
  readonly bytes: number;
  readonly bytesPerSecond: number | undefined;
}

/** What was measured at the last look at a transfer. */
const speeds = new WeakMap<Ingest, Measured>();

function describeWithSpeed(ingest: Ingest): Overview['transfers'][number] {
  const bytesPerSecond = speedOf(ingest);
  return { ...describeTransfer(ingest), ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }) };
}

/** Since the last look; since its start, at the first. */
function speedOf(ingest: Ingest): number | undefined {
  const now = Date.now();
  const before = speeds.get(ingest) ?? { at: ingest.startedAt, bytes: 0, bytesPerSecond: undefined };
  const passed = now - before.at;
  // Looks of two pages, one after the other.
  if (passed < SPEED_OVER) return before.bytesPerSecond;
  const bytes = ingest.received;
  const bytesPerSecond = Math.max(0, Math.round(((bytes - before.bytes) / passed) * 1000));
  speeds.set(ingest, { at: now, bytes, bytesPerSecond });
  return bytesPerSecond;
}
