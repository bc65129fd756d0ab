import { execFileSync } from 'node:child_process';

// What the scripts share: how one begins and ends, and how it runs a program.

/**
 * Runs a script: `main` gets the arguments and gives the exit code. An error becomes one line and exit code 1; `DEBUG=1`
 * shows where it came from.
 */
export async function runScript(main: (args: readonly string[]) => number | Promise<number>): Promise<void> {
  try {
    process.exitCode = await main(process.argv.slice(2));
  } catch (error) {
    console.error((process.env['DEBUG'] ?? '') === '' ? lineOf(error) : error);
    process.exitCode = 1;
  }
}

/** The first line of an error: what comes below it is for those who look for its place. */
function lineOf(error: unknown): string {
  const [first = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
  return first;
}

interface RunOptions {
  readonly cwd: string;
  /** A sentence: what to do where the program is missing or fails. */
  readonly remedy: string;
}

/**
 * Runs a program to its end.
 *
 * @returns what it wrote to standard output
 * @throws Error of one line, which names the program, what it said and the remedy
 */
export function outputOf([program = '', ...args]: readonly string[], { cwd, remedy }: RunOptions): string {
  try {
    return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const { code, stderr = '' } = error as NodeJS.ErrnoException & { readonly stderr?: string };
    const what = code === 'ENOENT' ? 'it is not installed' : reasonOf(stderr);
    throw new Error(`Cannot run ${[program, ...args].join(' ')}: ${what}. ${remedy}`, { cause: error });
  }
}

/** The first line that tells a reason: npm puts a code, a system call and a number before it. */
function reasonOf(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.replace(/^npm (?:error|ERR!) ?/, '').trim());
  const reason = lines.find((line) => line !== '' && !/^(?:code|syscall|errno|A complete log)\b/.test(line));
  return (reason ?? 'it failed and gave no reason').replace(/\.$/, '');
}
