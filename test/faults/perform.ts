import type { Outcome, Row } from './lib/row.ts';
import { type Rounds, Stage } from './lib/stage.ts';

/** A row after its run. */
export interface Result {
  readonly id: string;
  readonly what: string;
  readonly reach: string;
  readonly outcome: Outcome;
  /** Undefined where it was skipped. */
  readonly met: boolean | undefined;
  readonly seconds: number;
}

export interface PerformOptions {
  readonly rounds: Rounds;
  /** @default 0 */
  readonly seed?: number;
  readonly progress: (text: string) => void;
}

/** Runs a row on a stage of its own. A row that throws or takes too long has missed; nothing it started outlives it. */
export async function perform(row: Row, { rounds, seed = 0, progress }: PerformOptions): Promise<Result> {
  const began = performance.now();
  const { id, what, reach } = row;
  const within = (row.within ?? 90) * (rounds === 'long' ? 120 : rounds);
  const over = new AbortController();
  const stage = await Stage.open({
    rounds,
    seed,
    signal: over.signal,
    progress: (text) => progress(`${id}: ${text}`),
  });
  let timer: NodeJS.Timeout | undefined;
  let outcome: Outcome;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`It did not end within ${within} s`)), within * 1000);
    });
    const running = row.run(stage);
    // What it says after its time is not heard.
    running.catch(() => undefined);
    outcome = await Promise.race([running, late]);
  } catch (error) {
    const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
    outcome = { figure: 'failed', misses: [said] };
  } finally {
    clearTimeout(timer);
    over.abort();
  }
  try {
    await stage[Symbol.asyncDispose]();
  } catch (error) {
    outcome = { ...outcome, misses: [...outcome.misses, `What it started did not end: ${String(error)}`] };
  }
  const met = outcome.skipped === undefined ? outcome.misses.length === 0 : undefined;
  return { id, what, reach, outcome, met, seconds: (performance.now() - began) / 1000 };
}
