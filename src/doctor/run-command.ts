import { execFile } from 'node:child_process';

/** How a command of a client ended. */
interface CommandResult {
  /** Undefined where it could not be started, or was ended. */
  readonly code: number | undefined;
  /** The last of what it wrote: what went wrong comes last. */
  readonly text: string;
  readonly reason?: 'not-found' | 'timeout' | undefined;
}

const MAX_OUTPUT = 1024 * 1024;
const MAX_TEXT = 400;

/** Runs a program without a shell and without input. @param options `timeout` in milliseconds */
export function runCommand(
  command: readonly string[],
  { timeout, signal }: { readonly timeout: number; readonly signal?: AbortSignal | undefined },
): Promise<CommandResult & { readonly output: string }> {
  const [program = '', ...args] = command;
  return new Promise((resolve) => {
    const options = {
      timeout,
      killSignal: 'SIGKILL' as const,
      maxBuffer: MAX_OUTPUT,
      ...(signal === undefined ? {} : { signal }),
    };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const text = tailOf(stderr.trim() === '' ? stdout : stderr);
      if (error === null) return resolve({ code: 0, text, output: stdout });
      const { code, killed = false } = error;
      if (typeof code === 'number') return resolve({ code, text, output: stdout });
      const reason = String(code) === 'ENOENT' ? 'not-found' : killed ? 'timeout' : undefined;
      resolve({ code: undefined, text: text === '' ? tailOf(error.message) : text, output: stdout, reason });
    });
    child.stdin?.end();
  });
}

/** One line, safe for a terminal. */
function tailOf(text: string): string {
  const line = text
    .replace(/\s+/g, ' ')
    .replace(/\p{Cc}/gu, '?')
    .trim();
  return line.length <= MAX_TEXT ? line : `…${line.slice(-MAX_TEXT)}`;
}
