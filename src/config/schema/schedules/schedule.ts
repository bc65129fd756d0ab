import { parseDuration } from '../duration.ts';

/** When something is done again and again. */
export type Schedule =
  /** Milliseconds, counted from 1970. */
  | { readonly kind: 'every'; readonly ms: number }
  /** Five fields, as of cron: minute, hour, day of the month, month, day of the week. */
  | { readonly kind: 'cron'; readonly expression: string };

const NICKNAMES: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@weekly': '0 0 * * 0',
};

/** Of an interval. Milliseconds. */
const SHORTEST = 60_000;
const LONGEST = 366 * 86_400_000;

const MAX_LENGTH = 200;

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
/** In a leap year. */
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

interface Field {
  readonly least: number;
  readonly most: number;
  /** The first stands for `least`. */
  readonly names?: readonly string[];
}

const FIELDS: readonly Field[] = [
  { least: 0, most: 59 },
  { least: 0, most: 23 },
  { least: 1, most: 31 },
  { least: 1, most: 12, names: MONTHS },
  // 0 and 7 are Sunday.
  { least: 0, most: 7, names: WEEKDAYS },
];

/**
 * Reads `0 3 * * *`, `@daily` or `every 6h`.
 *
 * @returns undefined where the text is none of them, and for a date that never comes, such as the 31st of February
 */
export function parseSchedule(text: string): Schedule | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const trimmed = text.trim();
  const nickname = NICKNAMES[trimmed.toLowerCase()];
  if (nickname !== undefined) return { kind: 'cron', expression: nickname };
  const [, interval] = /^every\s+(\S+)$/i.exec(trimmed) ?? [];
  if (interval !== undefined) {
    const ms = parseDuration(interval);
    return ms === undefined || ms < SHORTEST || ms > LONGEST ? undefined : { kind: 'every', ms };
  }
  const fields = fieldsOf(trimmed);
  if (fields === undefined) return undefined;
  const [, , days = [], months = [], weekdays = []] = fields;
  // Days of the month and of the week count each for itself where both are given.
  const isEveryWeekday = weekdays.length >= WEEKDAYS.length;
  const comes = months.some((month) => days.some((day) => day <= (DAYS[month - 1] ?? 0)));
  if (isEveryWeekday && !comes) return undefined;
  return { kind: 'cron', expression: trimmed.split(/\s+/).join(' ') };
}

/** The shortest pause between two runs within one hour, in milliseconds; an hour where there is one at most. */
export function shortestPause(schedule: Schedule): number {
  if (schedule.kind === 'every') return Math.min(schedule.ms, 3_600_000);
  const [minutes = [], hours = []] = fieldsOf(schedule.expression) ?? [];
  const [first = 0] = minutes;
  // The last of one hour and the first of the next.
  const isNext = hours.some((hour) => hours.includes((hour + 1) % 24));
  const wrapped = isNext ? [...minutes, first + 60] : minutes;
  const gaps = wrapped.slice(1).map((minute, at) => minute - (wrapped[at] ?? 0));
  return Math.min(60, ...gaps) * 60_000;
}

/** The values of each field, in order; undefined where one cannot be read. */
function fieldsOf(expression: string): readonly (readonly number[])[] | undefined {
  const texts = expression.split(/\s+/);
  if (texts.length !== FIELDS.length) return undefined;
  const fields = texts.map((text, at) => valuesOf(text, FIELDS[at] as Field));
  return fields.every((each) => each !== undefined) ? fields : undefined;
}

function valuesOf(text: string, field: Field): readonly number[] | undefined {
  const values = new Set<number>();
  for (const item of text.split(',')) {
    const [, from = '', to, step] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d{1,2}))?$/.exec(item) ?? [];
    const isAny = from === '*';
    // `5/10` is read in different ways by different programs.
    if ((isAny && to !== undefined) || (step !== undefined && !isAny && to === undefined)) return undefined;
    const first = isAny ? field.least : valueOf(from, field);
    const last = isAny ? field.most : to === undefined ? first : valueOf(to, field);
    const by = step === undefined ? 1 : Number(step);
    if (first === undefined || last === undefined || first > last || by < 1 || by > field.most) return undefined;
    for (let value = first; value <= last; value += by) values.add(value);
  }
  return [...values].sort((one, other) => one - other);
}

function valueOf(text: string, { least, most, names = [] }: Field): number | undefined {
  const named = names.indexOf(text.toUpperCase());
  if (named !== -1) return named + least;
  const value = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : undefined;
}
