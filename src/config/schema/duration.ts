/** Milliseconds per unit. */
const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Keeps numbers exact. Timers have a lower limit (2³¹−1 ms), but a freshness may be years. */
const MAX_MILLISECONDS = 100 * 365 * 86_400_000;

/**
 * Reads a duration in Go's syntax (`500ms`, `10s`, `1h30m`, `1.5s`), with `d` for days.
 *
 * `0` needs no unit; any other bare number is refused, since its unit is unknown.
 *
 * @returns whole milliseconds, or undefined if the text is not a duration (or longer than 100 years)
 */
export function parseDuration(text: string | number): number | undefined {
  if (text === 0 || text === '0') return 0;
  if (typeof text !== 'string' || text.length > 64) return undefined;
  const part = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/gy;
  let milliseconds = 0;
  let end = 0;
  for (let match = part.exec(text); match !== null; match = part.exec(text)) {
    milliseconds += Number(match[1]) * (UNITS[match[2] ?? ''] ?? 0);
    end = part.lastIndex;
  }
  if (end === 0 || end !== text.length || milliseconds > MAX_MILLISECONDS) return undefined;
  return Math.round(milliseconds);
}
