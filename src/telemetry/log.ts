import { isatty } from 'node:tty';
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { printableLines } from '../lib/index.ts';
import { formatConsoleLine } from './console-format.ts';
import { redactFields, redactText } from './redact.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** `json`: one object per line, for programs. `console`: one aligned line, for people. */
export type LogFormat = 'json' | 'console';

/** The fields of a line besides its message. `ts`, `level` and `msg` are set by the log. */
type LogFields = { readonly [key: string]: unknown } & {
  readonly ts?: never;
  readonly level?: never;
  readonly msg?: never;
};

/** The log of this program. It never throws, whatever it is given, and it masks secrets. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Whether a line of this level would be written: a caller can skip building the fields otherwise. */
  isEnabled(level: LogLevel): boolean;
  /** Takes effect with the next line. */
  setLevel(level: LogLevel): void;
  /** Takes effect with the next line. */
  setFormat(format: LogFormat): void;
  /** Resolves when the lines logged so far are written, or cannot be. */
  flush(): Promise<void>;
}

export interface LogOptions {
  /** @default 'info' */
  readonly level?: LogLevel;
  /** @default 'json' */
  readonly format?: LogFormat;
  /** Where lines go instead of standard output, such as a test's collector. */
  readonly stream?: { write(line: string): void };
  /** Standard output (1) or standard error (2). @default 1 */
  readonly fd?: 1 | 2;
  /** ANSI colours in the console format. @default on a terminal, unless NO_COLOR or TERM=dumb is set */
  readonly colour?: boolean;
}

/**
 * Bytes that may wait in memory for a slow reader. Beyond it lines are dropped and counted: a paused terminal must neither
 * stop the server nor exhaust its memory.
 */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;

/** Opens the log. Lines are written without blocking; pending ones are flushed at exit. */
export function createLog(options: LogOptions = {}): Log {
  const fd = options.fd ?? 1;
  const output = options.stream === undefined ? openOutput(fd) : { stream: options.stream, flush: async () => {} };
  const colour = options.colour ?? isColourful(fd);
  let format = options.format ?? 'json';
  const logger = pino(
    {
      level: options.level ?? 'info',
      base: null,
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (value: unknown) => value },
    },
    {
      write: (line: string) =>
        output.stream.write(format === 'json' ? printableLines(line) : formatConsoleLine(line, { colour })),
    },
  );
  const setFormat = (next: LogFormat): void => {
    format = next;
  };
  return logOver(logger, { flush: output.flush, setFormat });
}

function logOver(logger: Logger, { flush, setFormat }: Pick<Log, 'flush' | 'setFormat'>): Log {
  function write(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (!logger.isLevelEnabled(level)) return;
    const text = redactText(message);
    if (fields === undefined) logger[level](text);
    else logger[level](redactFields(fields, { stacks: logger.isLevelEnabled('debug') }), text);
  }
  return {
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    isEnabled: (level) => logger.isLevelEnabled(level),
    setLevel: (level) => {
      logger.level = level;
    },
    setFormat,
    flush,
  };
}

/** Standard output as pino writes it: asynchronously, with pending lines flushed when the process ends. */
function openOutput(fd: 1 | 2): { stream: DestinationStream; flush: () => Promise<void> } {
  // minLength 1 and not 0: with 0, sonic-boom's flush() calls back before anything is written.
  const stream = destination({ fd, sync: false, minLength: 1, maxLength: MAX_PENDING_BYTES });
  let dropped = 0;
  stream.on('drop', () => dropped++);
  stream.on('drain', () => {
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    const notice = {
      level: 'warn',
      ts: new Date().toISOString(),
      lines,
      msg: 'log lines dropped: the reader is too slow',
    };
    stream.write(`${JSON.stringify(notice)}\n`);
  });
  // A full disk or a closed pipe must not end the server; pino stops writing by itself on EPIPE.
  stream.on('error', () => {});
  return {
    stream,
    flush: () => new Promise((resolve) => stream.flush(() => resolve())),
  };
}

function isColourful(fd: number): boolean {
  const { NO_COLOR, TERM } = process.env;
  return isatty(fd) && (NO_COLOR === undefined || NO_COLOR === '') && TERM !== 'dumb';
}
