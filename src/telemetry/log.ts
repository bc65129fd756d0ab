import { isatty } from 'node:tty';
import { formatConsoleLine } from './console-format.ts';
import { formatJsonLine, timestamp } from './json-line.ts';
import { type LogOutput, openLogOutput } from './log-output.ts';

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

/** From the least to the most severe. */
const LEVELS = ['debug', 'info', 'warn', 'error'] as const satisfies readonly LogLevel[];

/** Opens the log. Lines are written without blocking; pending ones are flushed at exit. */
export function createLog(options: LogOptions = {}): Log {
  const { stream, fd = 1 } = options;
  const output: LogOutput = stream === undefined ? openLogOutput(fd) : { write: (line) => stream.write(line), flush };
  const colour = options.colour ?? isColourful(fd);
  let format = options.format ?? 'json';
  let least = LEVELS.indexOf(options.level ?? 'info');
  const isEnabled = (level: LogLevel): boolean => LEVELS.indexOf(level) >= least;

  function write(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (!isEnabled(level)) return;
    const line = formatJsonLine({ level, ts: timestamp(), message, fields, stacks: isEnabled('debug') });
    // What goes wrong may be the last that is heard of this process.
    const isUrgent = level === 'warn' || level === 'error';
    output.write(format === 'json' ? line : formatConsoleLine(line, { colour }), isUrgent);
  }
  return {
    debug: (message, fields) => write('debug', message, fields),
    info: (message, fields) => write('info', message, fields),
    warn: (message, fields) => write('warn', message, fields),
    error: (message, fields) => write('error', message, fields),
    isEnabled,
    setLevel: (level) => {
      least = LEVELS.indexOf(level);
    },
    setFormat: (next) => {
      format = next;
    },
    flush: () => output.flush(),
  };
}

async function flush(): Promise<void> {}

function isColourful(fd: number): boolean {
  const { NO_COLOR, TERM } = process.env;
  return isatty(fd) && (NO_COLOR === undefined || NO_COLOR === '') && TERM !== 'dumb';
}
