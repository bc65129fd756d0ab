import { type Language, TAGS } from './words/language.ts';

/** Numbers and times as a language writes them. */
export interface Formats {
  /** `1,234`; `12.3 M` from a million on. */
  readonly number: (value: number) => string;
  /** `97 %`; 100 % only where it is all, 0 % only where it is none. */
  readonly percent: (part: number, whole: number) => string;
  /** `3.2 GB`, by powers of 1000 as registries count. */
  readonly bytes: (value: number) => string;
  /** `3.2 MB/s` */
  readonly rate: (bytesPerSecond: number) => string;
  /** `0.4ms`, `320ms`, `1.4s`, `3m 5s`, `2h 14m` */
  readonly duration: (milliseconds: number) => string;
  /** `3 minutes ago`, `in 2 hours`, `now` */
  readonly relative: (at: number, now: number) => string;
  /** `29 Nov 2026, 14:03:22` */
  readonly time: (at: number) => string;
  /** `14:03:22` */
  readonly clock: (at: number) => string;
  /** `29 Nov`, or `14:00` for hours. */
  readonly step: (at: number, step: 'hour' | 'day') => string;
}

const BYTE_UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'] as const;

const RELATIVE_UNITS = [
  ['year', 365 * 86_400],
  ['month', 30 * 86_400],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;

export function formatsIn(language: Language): Formats {
  // British dates: day, month, year are in one order everywhere, and the clock has 24 hours.
  const tag = language === 'en' ? 'en-GB' : TAGS[language];
  const whole = new Intl.NumberFormat(tag, { maximumFractionDigits: 0 });
  const compact = new Intl.NumberFormat(language === 'en' ? 'en' : tag, {
    notation: 'compact',
    maximumFractionDigits: 1,
  });
  const tenth = new Intl.NumberFormat(tag, { maximumFractionDigits: 1 });
  const percents = new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 0 });
  const percentTenths = new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 1 });
  const relatives = new Intl.RelativeTimeFormat(tag, { numeric: 'auto' });
  const times = new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'medium' });
  const clocks = new Intl.DateTimeFormat(tag, { timeStyle: 'medium' });
  const hours = new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit' });
  const days = new Intl.DateTimeFormat(tag, { day: 'numeric', month: 'short' });
  const units = new Map<string, Intl.NumberFormat>();
  const unit = (name: string, digits: number): Intl.NumberFormat => {
    const key = `${name} ${digits}`;
    const known = units.get(key);
    if (known !== undefined) return known;
    const format = new Intl.NumberFormat(tag, {
      style: 'unit',
      unit: name,
      unitDisplay: name.endsWith('byte') ? 'short' : 'narrow',
      maximumFractionDigits: digits,
    });
    units.set(key, format);
    return format;
  };
  const bytes = (value: number): string => {
    const [scaled, name] = scaleBytes(value);
    // The word `byte` has no plural here, and `B` needs none.
    if (name === 'byte') return `${whole.format(scaled)} B`;
    return unit(name, scaled < 10 ? 1 : 0).format(scaled);
  };
  return {
    number: (value) => (Math.abs(value) >= 1e6 ? compact : Number.isInteger(value) ? whole : tenth).format(value),
    percent(part, whole) {
      const share = whole === 0 ? 0 : part / whole;
      // Rounding may not turn "almost" into "all".
      if (share > 0.99 && share < 1) return percentTenths.format(Math.floor(share * 1000) / 1000);
      if (share > 0 && share < 0.01) return percentTenths.format(Math.max(0.001, share));
      return percents.format(share);
    },
    bytes,
    rate: (value) => `${bytes(value)}/s`,
    duration(milliseconds) {
      if (milliseconds < 1) return unit('millisecond', 1).format(Math.max(0, milliseconds));
      if (milliseconds < 999.5) return unit('millisecond', 0).format(milliseconds);
      const seconds = milliseconds / 1000;
      if (seconds < 59.95) return unit('second', 1).format(seconds);
      // By what it is rounded to: never 60 minutes.
      const [large, small, size] =
        seconds < 3599.5
          ? (['minute', 'second', 60] as const)
          : seconds < 86_370
            ? (['hour', 'minute', 3600] as const)
            : (['day', 'hour', 86_400] as const);
      const part = { minute: 1, hour: 60, day: 3600 }[large];
      const total = Math.round(seconds / part);
      const per = size / part;
      const rest = total % per;
      const first = unit(large, 0).format(Math.floor(total / per));
      return rest === 0 ? first : `${first} ${unit(small, 0).format(rest)}`;
    },
    relative(at, now) {
      const seconds = Math.round((at - now) / 1000);
      const [name, size] = RELATIVE_UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1];
      return relatives.format(Math.trunc(seconds / size), name);
    },
    time: (at) => times.format(at),
    clock: (at) => clocks.format(at),
    step: (at, step) => (step === 'hour' ? hours : days).format(at),
  };
}

function scaleBytes(value: number): readonly [number, string] {
  let scaled = Math.max(0, value);
  let at = 0;
  // 999.5 kB would be shown as 1000 kB.
  while (scaled >= 999.5 && at < BYTE_UNITS.length - 1) {
    scaled /= 1000;
    at += 1;
  }
  return [scaled, BYTE_UNITS[at] as string];
}

/** `sha256:0123456789ab` */
export function shortDigest(digest: string): string {
  const colon = digest.indexOf(':');
  return colon === -1 ? digest : digest.slice(0, colon + 13);
}

/** `docker.io/library/nginx:latest`, or with `@` before a digest. */
export function imageName({
  registry,
  repository,
  reference = '',
}: {
  readonly registry: string;
  readonly repository: string;
  readonly reference?: string;
}): string {
  const name = `${registry}/${repository}`;
  if (reference === '') return name;
  return `${name}${reference.includes(':') ? '@' : ':'}${reference}`;
}
