import type { Config } from '../schema/index.ts';
import { parseSchedule, shortestPause } from '../schema/index.ts';
import type { Path } from '../tree.ts';

type Report = (path: Path, message: string) => void;

/** A schedule that runs more often is probably not meant. Milliseconds. */
const OFTEN = 5 * 60_000;

/** Every schedule with its place. A name means one of them, whatever it does. */
function scheduledIn({ warm, copy }: Pick<Config, 'warm' | 'copy'>) {
  return [
    ...warm.map((entry, at) => ({ ...entry, path: ['warm', at] })),
    ...copy.map((entry, at) => ({ ...entry, path: ['copy', at] })),
  ];
}

/** Problems between the schedules, and with the rest of the configuration. Pure. */
export function checkScheduled(config: Config, report: Report): void {
  const names = new Set<string>();
  for (const { name, path } of scheduledIn(config)) {
    if (name !== undefined && names.has(name)) {
      report([...path, 'name'], `found "${name}" a second time, expected each name once in warm and copy`);
    }
    if (name !== undefined) names.add(name);
  }
  const { warm, cache } = config;
  const kept = cache === 'off' ? undefined : cache.platforms;
  for (const [at, { platforms }] of warm.entries()) {
    for (const [index, platform] of platforms.entries()) {
      if (kept === undefined || kept.some((each) => platform === each || platform.startsWith(`${each}/`))) continue;
      report(
        ['warm', at, 'platforms', index],
        `found ${platform}, expected one of cache.platforms (${kept.join(', ')}): images of others are not kept; add it there, or leave it out`,
      );
    }
  }
}

/** What is plausible in schedules, and probably not meant. Pure. */
export function noteScheduled(config: Config, note: Report): void {
  const { cache, offline } = config;
  for (const { schedule: text, timeZone, path } of scheduledIn(config)) {
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
