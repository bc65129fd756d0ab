import { destination } from 'pino';
import { timestamp } from './json-line.ts';

/**
 * Bytes that may wait in memory for a slow reader. Beyond it lines are dropped and counted: a paused terminal must neither
 * stop the server nor exhaust its memory.
 */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;

/**
 * Milliseconds within which lines are written together. Each write is a hand-over to another thread, and costs as much as the
 * lines of several requests.
 */
const TOGETHER_MS = 5;

/** Characters of lines that are written before that time is over. */
const MAX_TOGETHER = 32 * 1024;

/** Where the lines of the log go. */
export interface LogOutput {
  /** Takes a line, with its newline. @param isUrgent it is handed over at once, with all before it */
  write(line: string, isUrgent: boolean): void;
  /** Resolves when the lines so far are written, or cannot be. */
  flush(): Promise<void>;
}

/**
 * Opens standard output or standard error. A line is written at once where none was written in the last
 * {@link TOGETHER_MS}, and otherwise with those that come until then, in their order, by another thread. What waits is written
 * when the process exits, by an exception too, and may then come before the lines that the other thread is just writing. SIGKILL
 * loses it.
 */
export function openLogOutput(fd: 1 | 2): LogOutput {
  let waiting = '';
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  let dropped = 0;

  function handOver(): void {
    if (waiting === '') return;
    const lines = waiting;
    waiting = '';
    stream.write(lines);
    count = 0;
  }
  // Before the stream is opened: what waits here is in the stream when that is flushed at the exit.
  process.once('exit', handOver);
  // minLength 1 and not 0: with 0, sonic-boom's flush() calls back before anything is written.
  const stream = destination({ fd, sync: false, minLength: 1, maxLength: MAX_PENDING_BYTES });
  stream.on('drop', () => (dropped += count));
  stream.on('drain', () => {
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    const notice = { level: 'warn', ts: timestamp(), lines, msg: 'log lines dropped: the reader is too slow' };
    stream.write(`${JSON.stringify(notice)}\n`);
  });
  // A full disk or a closed pipe must not end the server; pino stops writing by itself on EPIPE.
  stream.on('error', () => {});

  function pass(): void {
    timer = undefined;
    if (waiting === '') return;
    handOver();
    timer = setTimeout(pass, TOGETHER_MS);
  }
  return {
    write(line, isUrgent) {
      waiting += line;
      count += 1;
      if (isUrgent || timer === undefined || waiting.length >= MAX_TOGETHER) handOver();
      timer ??= setTimeout(pass, TOGETHER_MS);
    },
    flush() {
      handOver();
      return new Promise((resolve) => stream.flush(() => resolve()));
    },
  };
}
