import { isatty } from 'node:tty';
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { formatConsoleLine } from './console-format.ts';
import { redactFields, redactText } from './redact.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `json`: one object per line, for programs. `console`: one aligned line, for people. */
export type LogFormat = 'json' | 'console';

/** What a line says besides its message. `ts`, `level` and `msg` are the line's own keys. */
export type LogFields = { readonly [key: string]: unknown } & {
  readonly ts?: never;
  readonly level?: never;
  readonly msg?: never;
};

/** Where every line of this program is written. Nothing it is given can make it throw, and no secret leaves it. */
export interface Log {
  readonly level: LogLevel;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Whether a line of this level would be written: lets a caller skip gathering what nobody reads. */
  isEnabled(level: LogLevel): boolean;
  /** Takes effect with the next line. */
  setLevel(level: LogLevel): void;
  /** Takes effect with the next line. */
  setFormat(format: LogFormat): void;
  /** Resolves when what was logged so far is written, or cannot be. */
  flush(): Promise<void>;
}

export interface LogOptions {
  /** @default 'info' */
  readonly level?: LogLevel;
  /** @default 'json' */
  readonly format?: LogFormat;
  /** Where lines go instead of standard output: a test's collector, for instance. */
  readonly stream?: { write(line: string): void };
  /** Standard output (1) or standard error (2). @default 1 */
  readonly fd?: 1 | 2;
  /** ANSI colours in the console format. @default on a terminal, unless NO_COLOR or TERM=dumb is set */
  readonly colour?: boolean;
}

/**
 * What may wait in memory for a reader that does not read. Beyond it lines are dropped and counted, because a paused
 * terminal must stop neither the server nor its memory.
 */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;

/** Opens the log. Lines are handed to the system without blocking; what is pending at exit is written then. */
export function createLog(options: LogOptions = {}): Log {
  const fd = options.fd ?? 1;
  const output = options.stream === undefined ? openOutput(fd) : { stream: options.stream, flush: async () => {} };
  const forPeople = consoleSink(output.stream, options.colour ?? isColourful(fd));
  let sink = options.format === 'console' ? forPeople : output.stream;
  const logger = pino(
    {
      level: options.level ?? 'info',
      base: null,
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (value: unknown) => value },
    },
    { write: (line: string) => sink.write(line) },
  );
  const setFormat = (format: LogFormat): void => {
    sink = format === 'console' ? forPeople : output.stream;
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
    get level() {
      return logger.level as LogLevel;
    },
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

/** Standard output as pino writes it: asynchronously, with what is pending flushed when the process ends. */
function openOutput(fd: 1 | 2): { stream: DestinationStream; flush: () => Promise<void> } {
  // minLength 1 and not 0: with 0, sonic-boom's flush() answers before anything is written.
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
  // A full disk or a reader that went away must not end the server; pino stops writing by itself on EPIPE.
  stream.on('error', () => {});
  return {
    stream,
    flush: () => new Promise((resolve) => stream.flush(() => resolve())),
  };
}

function consoleSink(stream: { write(line: string): void }, colour: boolean): DestinationStream {
  return { write: (line) => stream.write(formatConsoleLine(line, { colour })) };
}

function isColourful(fd: number): boolean {
  const { NO_COLOR, TERM } = process.env;
  return isatty(fd) && (NO_COLOR === undefined || NO_COLOR === '') && TERM !== 'dumb';
}
