import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { EXIT } from '../../exit-code.ts';
import type { Output } from '../../output.ts';
import { readPipedPassword } from '../../piped-password.ts';

/** Where a password is read from; a test gives its own. */
export type PasswordInput = NodeJS.ReadableStream & Partial<Pick<ReadStream, 'isTTY'>>;

interface PasswordOptions {
  /** Whether it is piped. */
  readonly fromStdin: boolean;
  readonly input?: PasswordInput | undefined;
  readonly output: Output;
}

/** A password, or why there is none. */
export type ReadPassword = { readonly password: string } | { readonly code: number; readonly message: string };

/** Reads a new password: at a terminal twice and without showing it, else from standard input to its end. */
export async function readPassword({
  fromStdin,
  input = process.stdin,
  output,
}: PasswordOptions): Promise<ReadPassword> {
  // A terminal would show what is typed, so it is asked there all the same.
  if (input.isTTY === true) return askTwice(input, output);
  if (fromStdin) {
    const read = await readPipedPassword(input);
    return 'password' in read ? read : { code: EXIT.failure, message: `error: ${read.fault}` };
  }
  return {
    code: EXIT.usage,
    message: 'There is no terminal to ask for the password at. Pipe it in, with --password-stdin.',
  };
}

async function askTwice(input: PasswordInput, output: Output): Promise<ReadPassword> {
  // It edits the line as a shell does, and writes each character here.
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input, output: silence, terminal: true, historySize: 0 });
  // Ctrl-C; without a listener it would only pause. Ctrl-D closes it too.
  terminal.once('SIGINT', () => terminal.close());
  // From the beginning: two lines that are pasted together come before the second is asked for.
  const lines = terminal[Symbol.asyncIterator]();
  const ask = async (question: string): Promise<string | undefined> => {
    output.err(question);
    const line = await lines.next();
    output.err('\n');
    return line.done === true ? undefined : line.value;
  };
  try {
    const password = await ask('Password: ');
    if (password === '') return { code: EXIT.failure, message: 'No password was typed.' };
    const again = password === undefined ? undefined : await ask('The same again: ');
    if (password === undefined || again === undefined)
      return { code: EXIT.interrupted, message: 'Nothing was changed.' };
    if (password === again) return { password };
    return { code: EXIT.failure, message: 'The two passwords differ; repeat the command.' };
  } finally {
    terminal.close();
  }
}
