import { parseDuration } from '../config/index.ts';

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Reads a duration as Go's `time.ParseDuration` does, without a sign. @returns milliseconds, or undefined */
export function parseGoDuration(text: string): number | undefined {
  if (text.length > 64) return undefined;
  if (text === '0') return 0;
  const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy;
  let milliseconds = 0;
  let end = 0;
  for (let match = part.exec(text); match !== null; match = part.exec(text)) {
    milliseconds += Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0);
    end = part.lastIndex;
  }
  return end > 0 && end === text.length ? milliseconds : undefined;
}

/** Writes a length of time in the largest unit that gives a whole number: `90s`, `1500ms`, `7d`. */
export function formatDuration(milliseconds: number): string {
  const whole = Math.round(milliseconds);
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = parseDuration(`1${unit}`) ?? 1;
    if (whole >= size && whole % size === 0) return `${whole / size}${unit}`;
  }
  return `${whole}ms`;
}
