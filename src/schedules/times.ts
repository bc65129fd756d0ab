import { createHash } from 'node:crypto';
import { Cron } from 'croner';

/** When something is due again and again. */
export type Recurrence =
  /** At the multiples of so many milliseconds since 1970. */
  | { readonly kind: 'every'; readonly ms: number }
  /** Five fields of cron. @param timeZone of the IANA; that of the process unless given */
  | { readonly kind: 'cron'; readonly expression: string; readonly timeZone?: string };

/** The first time after another; undefined where there is none. Milliseconds since 1970. */
export type Times = (after: number) => number | undefined;

/** Milliseconds over which servers with the same schedule are spread. */
const SPREAD = 60_000;

/** Times that are compared to know how often something is due. */
const COMPARED = 6;

/** @throws {TypeError} {RangeError} for fields of cron that cannot be read */
export function timesOf(recurrence: Recurrence): Times {
  if (recurrence.kind === 'every') {
    const { ms } = recurrence;
    return (after) => (Math.floor(after / ms) + 1) * ms;
  }
  const { expression, timeZone } = recurrence;
  // Without a function it only calculates, and sets no timer.
  const cron = new Cron(expression, { mode: '5-part', ...(timeZone !== undefined && { timezone: timeZone }) });
  return (after) => cron.nextRun(new Date(after))?.getTime();
}

/** Whether an hour at least lies between two times. */
export function isHourlyOrSlower(times: Times, after: number): boolean {
  let before: number | undefined;
  let time = times(after);
  for (let compared = 0; time !== undefined && compared < COMPARED; compared += 1) {
    if (before !== undefined && time - before < 3_600_000) return false;
    before = time;
    time = times(time);
  }
  return true;
}

/** From 0 to less than a minute: the same for the same texts. Milliseconds. */
export function spreadOf(...texts: readonly string[]): number {
  const hash = createHash('sha256').update(texts.join('\0')).digest();
  return hash.readUInt32BE(0) % SPREAD;
}
