import * as z from 'zod';
import { fromText, label, matching } from '../fields.ts';
import { optionMeta } from '../meta.ts';
import { options } from '../options.ts';
import { platform } from '../platform.ts';
import { parseSchedule } from './schedule.ts';

/** Images of one schedule, as of one `entrepot warm`. */
const MAX_IMAGES = 1000;
const MAX_SCHEDULES = 64;
const MAX_PLATFORMS = 20;

const schedule = fromText((text) => (parseSchedule(text) === undefined ? undefined : text.trim()), {
  type: 'schedule',
  expected:
    'five fields of cron such as "0 3 * * *" on a date that comes, or @hourly, @daily, @weekly, or an interval of a minute at least such as every 6h',
});

const timeZone = fromText((text) => (isTimeZone(text) ? text : undefined), {
  type: 'time zone',
  expected: 'a time zone such as Europe/Berlin or UTC',
});

const entry = options({
  name: label.optional().describe('Shown in log, webhooks and `entrepot schedules`. The first image unless given.'),
  images: z
    .array(matching(/^\S{1,1000}$/, { type: 'image', expected: 'the name of an image such as nginx:1.27' }))
    .min(1)
    .max(MAX_IMAGES)
    .describe('As `entrepot warm` takes them: `nginx:1.27`, `ghcr.io/owner/app@sha256:…`.'),
  schedule: schedule.describe(
    'Five fields of cron (minute, hour, day of the month, month, day of the week), `@hourly`, `@daily`, `@weekly`, or `every 6h`. A run begins up to a minute later.',
  ),
  time_zone: timeZone.optional().describe('Of the fields of cron: `Europe/Berlin`. By default that of the server.'),
  platforms: z
    .array(platform)
    .max(MAX_PLATFORMS)
    .prefault([])
    .describe('Platforms that each image must have. By default those of `cache.platforms`, or all.'),
});

/** Images that are fetched by a schedule: a part of the one definition, see schema.ts. */
export const warm = z
  .array(entry)
  .max(MAX_SCHEDULES)
  .register(optionMeta, {
    type: 'list',
    expected: `a list of at most ${MAX_SCHEDULES} schedules, each such as {images: [nginx:1.27], schedule: "@daily"}`,
  });

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
