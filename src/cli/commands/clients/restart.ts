import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { EXIT } from '../../exit-code.ts';
import type { Output } from '../../output.ts';

/** A service that takes longer to start has failed for its own reasons, which it logs. */
const DEADLINE = 180_000;

/** Runs the command that makes a client read its files. Its own output goes to the terminal. Gives the exit code. */
export async function runRestart(command: string, output: Output): Promise<number> {
  output.err(`Running: ${command}\n`);
  const child = spawn('sh', ['-c', command], { stdio: ['ignore', 2, 2], signal: AbortSignal.timeout(DEADLINE) });
  try {
    const [code, signal] = await once(child, 'exit');
    if (code === 0) return EXIT.ok;
    output.err(`\`${command}\` ended with ${String(code ?? signal)}. The files are written; run it again by hand.\n`);
  } catch (error) {
    output.err(
      `\`${command}\` failed: ${error instanceof Error ? error.message : String(error)}. The files are written.\n`,
    );
  }
  return EXIT.failure;
}
