import { Recent } from '../lib/index.ts';
import type { Events } from './events.ts';
import type { Log } from './log.ts';

/** Milliseconds in which the same principal, repository and client are logged once. */
const ONCE_IN = 600_000;
/** What was logged not long ago. */
const KEPT = 2000;
/** Lines in a minute, whatever they say. */
const LINES_PER_MINUTE = 60;
const MINUTE = 60_000;

interface WouldDenyLogOptions {
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

/**
 * Logs what audit mode lets through: a client in a loop must not fill the log. Each principal, repository and client gets a line
 * in ten minutes, and all together sixty lines a minute; what was left out is counted in the next line.
 */
export function createWouldDenyLog(
  log: Log,
  { now = Date.now }: WouldDenyLogOptions = {},
): (event: Events['access.would_deny']) => void {
  const recent = new Recent({ most: KEPT, lasts: ONCE_IN, now });
  let minute = Number.NEGATIVE_INFINITY;
  let lines = 0;
  let unlogged = 0;
  return (event) => {
    const { principal, action, registry, repository, client } = event;
    const current = Math.floor(now() / MINUTE);
    if (current !== minute) lines = 0;
    minute = current;
    const key = [principal, action, registry, repository, client].join('\n');
    if (recent.has(key) || lines >= LINES_PER_MINUTE) {
      unlogged += 1;
      return;
    }
    recent.add(key);
    lines += 1;
    log.warn('access.would_deny', { ...event, ...(unlogged > 0 && { unlogged }) });
    unlogged = 0;
  };
}
