import type { Telemetry } from '../../telemetry/index.ts';
import type { RoutingOrder, RoutingQuestion } from './contract.ts';
import { PluginError, PluginThread } from './plugin-thread.ts';

/** Failures in a row after which a plugin is left alone. */
export const FAILURES_IN_A_ROW = 3;
/** Milliseconds that it is left alone. */
export const PAUSE_MS = 60_000;
/** Milliseconds between two warnings of the same failure at the same registry. */
const WARNS_EACH_MS = 60_000;
/** Warnings that are remembered. */
const MAX_WARNED = 256;

/** How a plugin does. */
export interface PluginView {
  readonly file: string;
  readonly state: 'working' | 'paused';
  /** Questions since it was loaded that it did not answer, or not rightly. */
  readonly failures: number;
  readonly lastFault?: string;
}

interface RoutingPluginOptions {
  readonly telemetry: Telemetry;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** @default a thread of the file */
  readonly thread?: Pick<PluginThread, 'file' | 'load' | 'order' | 'close'>;
}

/**
 * A routing plugin as the server asks it: a failure is logged with the plugin's name and counted, and never reaches a request. One
 * that fails again and again is left alone for a minute.
 */
export class SupervisedPlugin {
  readonly #thread: Pick<PluginThread, 'file' | 'load' | 'order' | 'close'>;
  readonly #telemetry: Telemetry;
  readonly #now: () => number;
  /** When a failure was last logged, and how many were not logged since. */
  readonly #warned = new Map<string, { at: number; unsaid: number }>();
  #failures = 0;
  #inARow = 0;
  #lastError: unknown;
  #pausedAt: number | undefined;
  #lastFault: string | undefined;
  #isClosed = false;

  constructor(file: string, { telemetry, now, thread = new PluginThread(file) }: RoutingPluginOptions) {
    this.#thread = thread;
    this.#telemetry = telemetry;
    this.#now = now;
  }

  /** @throws {PluginError} where the plugin cannot be loaded */
  load(): Promise<void> {
    return this.#thread.load();
  }

  /** Undefined where the order is to be that of the configuration: the plugin says so, or it fails. Never rejects. */
  async order(question: RoutingQuestion): Promise<RoutingOrder> {
    if (this.#isClosed || this.#isPaused) return undefined;
    try {
      const order = await this.#thread.order(question);
      this.#inARow = 0;
      return order;
    } catch (error) {
      if (!this.#isClosed) this.#blame(error, question);
      return undefined;
    }
  }

  get view(): PluginView {
    const lastFault = this.#lastFault;
    return {
      file: this.#thread.file,
      state: this.#isPaused ? 'paused' : 'working',
      failures: this.#failures,
      ...(lastFault !== undefined && { lastFault }),
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#thread.close();
  }

  get #isPaused(): boolean {
    const age = this.#pausedAt === undefined ? Number.NaN : this.#now() - this.#pausedAt;
    return age >= 0 && age < PAUSE_MS;
  }

  #blame(error: unknown, { registry }: RoutingQuestion): void {
    const { failure, message } =
      error instanceof PluginError ? error : new PluginError('crashed', `could not be asked: ${String(error)}`);
    this.#failures += 1;
    // All that wait for one thread fail by one error.
    if (error !== this.#lastError) this.#inARow += 1;
    this.#lastError = error;
    this.#lastFault = message;
    this.#telemetry.publish('routing.plugin.failed', { registry, failure });
    // Several questions may have failed by one cause, and it pauses once.
    const pauses = this.#inARow >= FAILURES_IN_A_ROW && !this.#isPaused;
    if (pauses) {
      this.#pausedAt = this.#now();
      this.#inARow = 0;
    }
    this.#warn(`${registry} ${failure}`, `asked for ${registry}, it ${message}`, pauses);
  }

  #warn(key: string, what: string, pauses: boolean): void {
    const now = this.#now();
    const last = this.#warned.get(key);
    if (!pauses && last !== undefined && now - last.at >= 0 && now - last.at < WARNS_EACH_MS) {
      last.unsaid += 1;
      return;
    }
    const again =
      last === undefined || last.unsaid === 0 ? '' : ` (and ${timesOf(last.unsaid)} since the last warning)`;
    if (this.#warned.size >= MAX_WARNED) this.#warned.clear();
    this.#warned.set(key, { at: now, unsaid: 0 });
    const { file } = this.#thread;
    const rest = pauses
      ? `It has failed ${FAILURES_IN_A_ROW} times in a row, so it is not asked for ${PAUSE_MS / 1000} s`
      : 'Upstreams are asked in the order of the configuration instead';
    this.#telemetry.publish('warning', {
      message: `The routing plugin ${file} failed${again}: ${what}. ${rest}. Test it with: entrepot plugin test ${file}`,
    });
  }
}

function timesOf(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}
