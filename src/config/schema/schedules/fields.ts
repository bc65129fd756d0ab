import { fromText, label, matching } from '../fields.ts';
import { parseSchedule } from './schedule.ts';

// What every kind of schedule has.

/** Images of one schedule, as of one `entrepot warm`. */
export const MAX_IMAGES = 1000;
/** Of each kind. */
export const MAX_SCHEDULES = 64;
export const MAX_PLATFORMS = 20;

const schedule = fromText((text) => (parseSchedule(text) === undefined ? undefined : text.trim()), {
  type: 'schedule',
  expected:
    'five fields of cron such as "0 3 * * *" on a date that comes, or @hourly, @daily, @weekly, or an interval of a minute at least such as every 6h',
});

const timeZone = fromText((text) => (isTimeZone(text) ? text : undefined), {
  type: 'time zone',
  expected: 'a time zone such as Europe/Berlin or UTC',
});

/** The name of an image. @param example of one */
export function imageName(example: string) {
  return matching(/^\S{1,1000}$/, { type: 'image', expected: `the name of an image such as ${example}` });
}

/** The name of a schedule. @param otherwise its name unless given */
export function scheduleName(otherwise: string) {
  return label.optional().describe(`Shown in log, webhooks and \`entrepot schedules\`. ${otherwise} unless given.`);
}

/** When it is due. */
export const due = {
  schedule: schedule.describe(
    'Five fields of cron (minute, hour, day of the month, month, day of the week), `@hourly`, `@daily`, `@weekly`, or `every 6h`. A run begins up to a minute later.',
  ),
  time_zone: timeZone.optional().describe('Of the fields of cron: `Europe/Berlin`. By default that of the server.'),
};

function isTimeZone(text: string): boolean {
  // Offsets such as +02:00 are no zones: they do not know of daylight saving time.
  if (!/^[A-Za-z][\w+/-]{0,63}$/.test(text)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions();
    return true;
  } catch {
    return false;
  }
}
