import { printable } from '../lib/index.ts';

/** The console format of the log: one of pino's JSON lines becomes one aligned line of text. */

interface ConsoleFormatOptions {
  /** Marks levels and statuses with ANSI colours, for terminals. */
  readonly colour: boolean;
}

const COLOURS: Record<string, number> = { debug: 90, info: 32, warn: 33, error: 31 };

/** `12:34:56.789 INFO  listening address=127.0.0.1:5000`, with a newline; a line that is no JSON object passes unchanged. */
export function formatConsoleLine(line: string, options: ConsoleFormatOptions): string {
  const fields = parseLine(line);
  if (fields === undefined) return line;
  const { ts, level, msg, ...rest } = fields;
  const word = text(level);
  const colour = options.colour ? COLOURS[word] : undefined;
  const head = `${localTime(ts)} ${paint(word.toUpperCase().padEnd(5), colour)} `;
  const body = msg === 'request' ? requestLine(rest, options) : `${text(msg).padEnd(24)} ${pairs(rest)}`;
  return `${head}${body.trimEnd()}\n`;
}

function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `GET  200  12.3 MiB    42 ms HIT  /v2/library/nginx/…`: the fields an operator scans for in columns, then the others. */
function requestLine(fields: Record<string, unknown>, options: ConsoleFormatOptions): string {
  const { method, status, bytes, duration, cache, path, repository: _inThePath, ...rest } = fields;
  const code = Number(status);
  const painted = options.colour ? paint(text(status).padStart(3), statusColour(code)) : text(status).padStart(3);
  return [
    text(method).padEnd(4),
    painted,
    formatBytes(Number(bytes)).padStart(9),
    `${formatNumber(Number(duration))} ms`.padStart(10),
    text(cache ?? '-').padEnd(11),
    text(path),
    pairs(rest),
  ].join(' ');
}

function statusColour(status: number): number {
  if (status === 0 || status >= 500) return 31;
  return status >= 400 ? 33 : 32;
}

function pairs(fields: Record<string, unknown>): string {
  return Object.entries(fields)
    .map(([key, value]) => `${text(key)}=${quoted(value)}`)
    .join(' ');
}

function quoted(value: unknown): string {
  const shown = isErrorLike(value) ? errorChain(value) : text(value);
  return /[\s"=]/.test(shown) || shown === '' ? JSON.stringify(shown) : shown;
}

function text(value: unknown): string {
  const plain = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  // Clients choose the paths in the log.
  return printable(plain);
}

interface ErrorLike {
  readonly type: string;
  readonly message: string;
  readonly cause?: unknown;
}

function isErrorLike(value: unknown): value is ErrorLike {
  return typeof value === 'object' && value !== null && 'type' in value && 'message' in value;
}

/** `HttpError: Cannot reach ghcr.io: connect ECONNREFUSED`: each error before its cause. */
function errorChain(error: ErrorLike): string {
  const messages = [text(error.message)];
  for (let cause = error.cause; isErrorLike(cause) && messages.length < 6; cause = cause.cause)
    messages.push(text(cause.message));
  return `${text(error.type)}: ${messages.join(': ')}`;
}

function localTime(ts: unknown): string {
  const date = new Date(typeof ts === 'string' ? ts : Number.NaN);
  if (Number.isNaN(date.getTime())) return '--:--:--.---';
  const two = (part: number): string => String(part).padStart(2, '0');
  const millis = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${millis}`;
}

/** Bytes in binary units: `0 B`, `1.5 KiB`, `12.3 MiB`. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return '-';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  return value < 10 ? value.toFixed(1) : Math.round(value).toString();
}

function paint(shown: string, colour: number | undefined): string {
  return colour === undefined ? shown : `\u001b[${colour}m${shown}\u001b[0m`;
}
