import type { LiveEvent } from '../../src/admin/index.ts';
import type { Answer } from './api.ts';

// How live messages change what a view has read. Lists stay as short as the server makes them.

type Overview = Answer<'overview'>;
type Pull = Overview['pulls'][number];
type Transfer = Overview['transfers'][number];
type Rates = Overview['rates'];
type DataOf<Kind extends LiveEvent['kind']> = Extract<LiveEvent, { kind: Kind }>['data'];

const MOST = 200;
/** Five minutes in steps of five seconds. */
const RATES = 60;

/** A pull that began goes to the front; one that is listed keeps its place, ended or not. */
export function mergePull(pulls: readonly Pull[], pull: Pull): readonly Pull[] {
  return merge(pulls, pull, pull.running === true);
}

export function mergeTransfer(transfers: readonly Transfer[], transfer: DataOf<'transfer'>): readonly Transfer[] {
  // The first message has no rate: the last known stays.
  const { bytesPerSecond } = transfers.find(({ id }) => id === transfer.id) ?? {};
  return merge(transfers, { ...(bytesPerSecond !== undefined && { bytesPerSecond }), ...transfer }, true);
}

export function mergeJob<Job extends { readonly id: string }>(jobs: readonly Job[], job: Job): readonly Job[] {
  return merge(jobs, job, true);
}

function merge<Entry extends { readonly id: string }>(
  entries: readonly Entry[],
  entry: Entry,
  isNew: boolean,
): readonly Entry[] {
  const at = entries.findIndex(({ id }) => id === entry.id);
  if (at !== -1) return entries.with(at, entry);
  return isNew ? [entry, ...entries].slice(0, MOST) : entries;
}

export function addRate(rates: Rates, rate: DataOf<'rates'>): Rates {
  if (rates.some(({ at }) => at === rate.at)) return rates;
  return [...rates, rate].slice(-RATES);
}

/** Bytes a second between two looks at the same pull; undefined where too little time lies between them. */
export function speedBetween(
  before: { readonly bytes: number; readonly at: number },
  after: { readonly bytes: number; readonly at: number },
): number | undefined {
  const seconds = (after.at - before.at) / 1000;
  return seconds < 0.2 ? undefined : Math.max(0, (after.bytes - before.bytes) / seconds);
}
