import type { Config } from '../schema/index.ts';
import { parseSchedule, shortestPause } from '../schema/index.ts';
import type { Path } from '../tree.ts';

type Report = (path: Path, message: string) => void;

/** A schedule that runs more often is probably not meant. Milliseconds. */
const OFTEN = 5 * 60_000;

/** Problems between the schedules, and with the rest of the configuration. Pure. */
export function checkWarm({ warm, cache }: Config, report: Report): void {
  const names = new Set<string>();
  const kept = cache === 'off' ? undefined : cache.platforms;
  for (const [at, { name, platforms }] of warm.entries()) {
    const path = ['warm', at];
    if (name !== undefined && names.has(name)) {
      report([...path, 'name'], `found "${name}" a second time, expected each name once`);
    }
    if (name !== undefined) names.add(name);
    for (const [index, platform] of platforms.entries()) {
      if (kept === undefined || kept.some((each) => platform === each || platform.startsWith(`${each}/`))) continue;
      report(
        [...path, 'platforms', index],
        `found ${platform}, expected one of cache.platforms (${kept.join(', ')}): images of others are not kept; add it there, or leave it out`,
      );
    }
  }
}

/** What is plausible in schedules, and probably not meant. Pure. */
export function noteWarm({ warm, cache, offline }: Config, note: Report): void {
  for (const [at, { schedule: text, timeZone }] of warm.entries()) {
    const path = ['warm', at];
    if (cache === 'off') note(path, 'it has no effect: the cache is off. Set cache.dir, or remove the schedule');
    else if (offline) note(path, 'it does not run while offline is true: no upstream is asked');
    const schedule = parseSchedule(text);
    if (schedule === undefined) continue;
    const pause = shortestPause(schedule);
    if (pause < OFTEN) {
      const minutes = Math.round(pause / 60_000);
      const often = minutes === 1 ? 'every minute' : `every ${minutes} minutes`;
      note(
        [...path, 'schedule'],
        `it asks upstreams ${often}, which counts against their limits; write every 6h, or "0 3 * * *" for each night at three`,
      );
    }
    if (timeZone !== undefined && schedule.kind === 'every') {
      note([...path, 'time_zone'], `it has no effect: ${text} is the same in every time zone. Remove it`);
    }
  }
}
