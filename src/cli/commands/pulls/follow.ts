import { setTimeout as wait } from 'node:timers/promises';
import {
  ControlError,
  callControl,
  controlSocketPath,
  OPERATIONS,
  type PullSummary,
  type PullsAnswer,
  type PullsInput,
} from '../../../admin/index.ts';
import type { Surroundings } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { formatProgress } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { processOutput, StatusLine } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { DEFAULT_LIMIT, filterOf, type PullsOptions, WHERE_OFF } from './pulls.ts';
import { imageOf, PullLines } from './pulls-table.ts';

/** Milliseconds from the end of one look to the next. */
const INTERVAL_MS = 1000;

/** Pulls of one page, and pages of one look: a busy server begins fewer pulls than these hold within a second. */
const PAGE = 100;
const MAX_PAGES = 50;
/** Pulls that are remembered. */
const MAX_KNOWN = 10_000;
/** Pulls of the first look. */
const FIRST = 500;

/** What a test gives of its own. */
export interface FollowSurroundings extends Surroundings {
  /** Milliseconds. @default 1000 */
  readonly interval?: number;
  /** Of the terminal; undefined: nothing is cut. */
  readonly columns?: number | undefined;
}

/**
 * `entrepot pulls --follow`: prints the last pulls, and then each pull once when it has ended, until it is interrupted or its
 * output is closed. On a terminal the last line counts those under way.
 *
 * A server that stops answering is reported once, and waited for.
 *
 * @returns the exit code: 0 where it was interrupted, that of the first look where it failed
 */
export async function followPulls(options: PullsOptions, surroundings: FollowSurroundings = {}): Promise<number> {
  const { output = processOutput, interrupt, interval = INTERVAL_MS } = surroundings;
  const { isTerminal = process.stdout.isTTY && options.json !== true, columns = process.stdout.columns } = surroundings;
  const closed = new AbortController();
  const onClosed = (): void => closed.abort(new Error('the output is closed'));
  process.stdout.once('error', onClosed);
  const more = interrupt === undefined ? closed.signal : AbortSignal.any([interrupt, closed.signal]);
  const line = new StatusLine(isTerminal ? (text) => output.out(text) : () => {});
  const lines = new PullLines(columns);
  const print = (pull: PullSummary): void => {
    if (options.outcome !== undefined && pull.outcome !== options.outcome) return;
    line.clear();
    output.out(options.json === true ? `${JSON.stringify(pull)}\n` : lines.next(pull, Date.now()));
  };
  try {
    return await withInterrupt(more, (signal) =>
      runServerCommand(
        {
          flags: options.flags,
          operation: OPERATIONS.pulls,
          input: { ...filterOf(options), limit: FIRST },
          signal,
          whereOff: WHERE_OFF,
          async show(first, dir) {
            const asker = askerOf(controlSocketPath(dir), options, signal);
            const follower = new PullFollower(first.pulls);
            for (const pull of lastOf(first.pulls, options)) print(pull);
            let isLost = false;
            for (;;) {
              if (isTerminal) drawRunning(line, follower.running, columns);
              await wait(interval, undefined, { signal }).catch(() => {});
              if (signal.aborted) break;
              try {
                for (const pull of await follower.look(asker)) print(pull);
                if (isLost) output.err('The server answers again.\n');
                isLost = false;
              } catch (error) {
                if (signal.aborted) break;
                if (!(error instanceof ControlError)) throw error;
                line.clear();
                if (!isLost) output.err(`${error.message}\nWaiting for the server, until Ctrl-C.\n`);
                isLost = true;
              }
            }
            line.clear();
            return EXIT.ok;
          },
        },
        output,
      ),
    );
  } finally {
    process.stdout.off('error', onClosed);
  }
}

/** The last pulls of an answer that have ended, in the order of their start. */
function lastOf(
  pulls: readonly PullSummary[],
  { outcome, limit = DEFAULT_LIMIT }: PullsOptions,
): readonly PullSummary[] {
  return pulls
    .filter((pull) => pull.running !== true && (outcome === undefined || pull.outcome === outcome))
    .slice(0, limit)
    .toReversed();
}

/** The questions of one look. */
export interface Asker {
  /** A page of the pulls, the newest first. */
  readonly page: (input: Pick<PullsInput, 'after' | 'limit'>) => Promise<Pick<PullsAnswer, 'pulls' | 'next'>>;
  /** Undefined where it is no longer recorded. */
  readonly find: (id: string) => Promise<PullSummary | undefined>;
}

/** The outcome is not asked for: that of a pull under way may change. */
function askerOf(path: string, options: PullsOptions, signal: AbortSignal): Asker {
  const { outcome: _, ...filter } = filterOf(options);
  return {
    page: (input) => callControl(path, OPERATIONS.pulls, { input: { ...filter, ...input }, signal }),
    async find(id) {
      try {
        const { pull } = await callControl(path, OPERATIONS.explain, { input: { of: id }, signal });
        if (pull === undefined) return undefined;
        const { requestList: _requests, omitted: _omitted, rule: _rule, verdict: _verdict, ...summary } = pull;
        return summary;
      } catch (error) {
        // The server has restarted, or has forgotten it.
        if (error instanceof ControlError && error.code === 'failed') return undefined;
        throw error;
      }
    },
  };
}

/** Which pulls have ended since the last look. */
export class PullFollower {
  /** Those that need no line: they were printed, or had ended before. The oldest first. */
  readonly #done = new Set<string>();
  /**
   * Not ended, as they were seen last. A pull without a running request may go on: it has ended when a second look finds it
   * unchanged.
   */
  #open = new Map<string, PullSummary>();
  /** When the newest pull of the first look began: what began before it, and is not open, is none of ours. */
  readonly #since: number;

  /** @param first the pulls of the first look, the newest first */
  constructor(first: readonly PullSummary[]) {
    this.#since = first[0]?.at ?? 0;
    for (const pull of first) {
      if (pull.running === true) this.#open.set(pull.id, pull);
      else this.#done.add(pull.id);
    }
  }

  get running(): readonly PullSummary[] {
    return [...this.#open.values()].filter(({ running }) => running === true);
  }

  /** The pulls that have ended, the one that ended first first. */
  async look({ page, find }: Asker): Promise<readonly PullSummary[]> {
    const seen = new Map<string, PullSummary>();
    let after: string | undefined;
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const answer = await page({ after, limit: PAGE });
      const ours = answer.pulls.filter(
        ({ id, at }) => this.#open.has(id) || (at >= this.#since && !this.#done.has(id)),
      );
      for (const pull of ours) seen.set(pull.id, pull);
      after = answer.next;
      const isAll = ours.every(({ id }) => this.#open.has(id)) && [...this.#open.keys()].every((id) => seen.has(id));
      // Behind a page without ours there may be a long pull: it is found by its id.
      if (after === undefined || ours.length === 0 || isAll) break;
    }
    for (const id of this.#open.keys()) {
      const pull = seen.get(id) ?? (await find(id));
      if (pull !== undefined) seen.set(id, pull);
    }
    const open = new Map<string, PullSummary>();
    const ended: PullSummary[] = [];
    for (const pull of seen.values()) {
      const before = this.#open.get(pull.id);
      if (before !== undefined && isSame(before, pull)) ended.push(pull);
      else open.set(pull.id, pull);
    }
    this.#open = open;
    for (const { id } of ended) this.#done.add(id);
    for (const id of this.#done) {
      if (this.#done.size <= MAX_KNOWN) break;
      this.#done.delete(id);
    }
    return ended.toSorted((one, other) => endOf(one) - endOf(other));
  }
}

function isSame(one: PullSummary, other: PullSummary): boolean {
  return (
    one.running !== true &&
    other.running !== true &&
    one.requests === other.requests &&
    one.durationMs === other.durationMs
  );
}

function endOf({ at, durationMs }: PullSummary): number {
  return at + durationMs;
}

/** `under way: docker.io/library/nginx:1.27 [####----]  40% of 12.3 MiB and 2 more`. Wider than the terminal, it would wrap. */
function drawRunning(line: StatusLine, running: readonly PullSummary[], columns = 80): void {
  const [first] = running;
  if (first === undefined) {
    line.clear();
    return;
  }
  const others = running.length === 1 ? '' : ` and ${running.length - 1} more`;
  line.draw(`under way: ${imageOf(first)} ${formatProgress(first)}${others}`.slice(0, columns - 1));
}
