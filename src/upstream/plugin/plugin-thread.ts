import { inspect } from 'node:util';
import type { Worker } from 'node:worker_threads';
import { printable, startThread } from '../../lib/index.ts';
import type { RoutingOrder, RoutingQuestion } from './contract.ts';
import { faultOfNames, type PluginAnswer, type PluginFailure } from './judge.ts';
import type { Posted, PostedQuestion, WorkerData } from './routing-worker.ts';

/** Milliseconds that a plugin has for an answer: no request waits longer for it. */
export const ANSWER_WITHIN_MS = 250;
/** Milliseconds that it has to load. */
export const LOAD_WITHIN_MS = 3000;
/** Bytes of its heap, in MiB; a thread that needs more ends. */
const HEAP = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 };
/** Questions that may wait for an answer; a plugin that is asked more is too slow. */
const MOST_WAITING = 1000;

/** A plugin failed. The message says how, as the end of a sentence that begins with the plugin. */
export class PluginError extends Error {
  override readonly name = 'PluginError';
  readonly failure: PluginFailure;

  constructor(failure: PluginFailure, message: string) {
    // What a plugin says is logged, and shown on terminals.
    super(printable(message));
    this.failure = failure;
  }
}

interface PluginThreadOptions {
  /** @default {@link ANSWER_WITHIN_MS} */
  readonly answerWithin?: number;
  /** @default {@link LOAD_WITHIN_MS} */
  readonly loadWithin?: number;
  /** Whether what the plugin prints appears where this program prints. @default false: it is dropped */
  readonly prints?: boolean;
}

interface Waiting {
  readonly settle: (answer: PluginAnswer) => void;
  readonly fail: (error: PluginError) => void;
}

/** A running thread, which has loaded the plugin or is about to. */
interface Running {
  readonly thread: Worker;
  readonly loaded: Promise<void>;
}

/**
 * A plugin in a thread of its own: it can neither block the event loop nor end the process, and one that hangs is ended. The
 * next question starts it again, so it may keep nothing for good.
 */
export class PluginThread {
  readonly file: string;
  readonly #answerWithin: number;
  readonly #loadWithin: number;
  readonly #prints: boolean;
  readonly #waiting = new Map<number, Waiting>();
  #running: Running | undefined;
  #count = 0;
  /** Why a thread has ended while no question waited. */
  #lost: PluginError | undefined;
  #isClosed = false;

  constructor(file: string, options: PluginThreadOptions = {}) {
    this.file = file;
    this.#answerWithin = options.answerWithin ?? ANSWER_WITHIN_MS;
    this.#loadWithin = options.loadWithin ?? LOAD_WITHIN_MS;
    this.#prints = options.prints ?? false;
  }

  /** Starts the thread, unless it runs. @throws {PluginError} where the plugin cannot be loaded */
  load(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new PluginError('load', 'was replaced or removed'));
    this.#running ??= this.#start();
    return this.#running.loaded;
  }

  /** Undefined also while it is loading for longer than an answer may take. @throws {PluginError} */
  async order(question: RoutingQuestion): Promise<RoutingOrder> {
    const lost = this.#lost;
    this.#lost = undefined;
    if (lost !== undefined) {
      // The next question finds a thread again; this one tells of what would otherwise never be heard of.
      this.load().catch(() => {});
      throw lost;
    }
    // It goes on loading, and a later question finds it.
    if (!(await this.#isLoadedSoon())) return undefined;
    const answer = await this.#ask(question);
    if (answer.kind === 'fault') throw new PluginError(answer.failure, answer.fault);
    const { names, said } = answer;
    const fault = names === undefined ? undefined : faultOfNames(names, question, said);
    if (fault !== undefined) throw new PluginError('invalid', fault);
    return names;
  }

  /** Ends the thread; questions that wait fail. */
  close(): void {
    this.#isClosed = true;
    this.#end(new PluginError('load', 'was replaced or removed'));
  }

  /** Whether the plugin is loaded, now or within the time for an answer. @throws {PluginError} where it cannot be loaded */
  async #isLoadedSoon(): Promise<boolean> {
    const { promise: late, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(resolve, this.#answerWithin, false);
    try {
      return await Promise.race([this.load().then(() => true), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #start(): Running {
    const workerData: WorkerData = { file: this.file };
    const thread = startThread('routing-worker', import.meta, {
      workerData,
      resourceLimits: HEAP,
      stdout: !this.#prints,
      stderr: !this.#prints,
    });
    if (!this.#prints) {
      thread.stdout.resume();
      thread.stderr.resume();
    }
    const { promise: loaded, resolve, reject } = Promise.withResolvers<void>();
    const seconds = this.#loadWithin / 1000;
    const timer = setTimeout(() => lose('load', `was not loaded within ${seconds} s`), this.#loadWithin);
    let isLoaded = false;
    const lose = (failure: PluginFailure, message: string): void => {
      clearTimeout(timer);
      const error = new PluginError(isLoaded ? failure : 'load', message);
      reject(error);
      if (this.#running?.thread !== thread) return;
      if (isLoaded && this.#waiting.size === 0) this.#lost = error;
      this.#end(error);
    };
    // The plugin has the same port, and may post anything.
    thread.on(
      'message',
      (message: Posted | { readonly kind: 'not-loaded'; readonly fault: unknown } | null | undefined) => {
        if (message?.kind === 'not-loaded') return lose('load', String(message.fault));
        if (message?.kind === 'answer') return this.#settle(message.id, message.answer);
        if (message?.kind !== 'loaded') return;
        isLoaded = true;
        clearTimeout(timer);
        resolve();
      },
    );
    // A plugin may throw anything, such as a text.
    thread.on('error', (error: unknown) => {
      const said = error instanceof Error ? `${error.name}: ${error.message}` : inspect(error, { depth: 1 });
      lose('crashed', `ended its thread: ${said.slice(0, 300)}`);
    });
    thread.on('exit', (code) => lose('crashed', `ended its thread, with the exit code ${code}`));
    thread.unref();
    // It rejects for those that wait, where any do.
    loaded.catch(() => {});
    return { thread, loaded };
  }

  async #ask(question: RoutingQuestion): Promise<PluginAnswer> {
    const running = this.#running;
    if (this.#isClosed) throw new PluginError('load', 'was replaced or removed');
    if (running === undefined) throw new PluginError('crashed', 'ended its thread');
    if (this.#waiting.size >= MOST_WAITING) throw new PluginError('timeout', `has ${MOST_WAITING} questions to answer`);
    const { promise, resolve: settle, reject: fail } = Promise.withResolvers<PluginAnswer>();
    this.#count += 1;
    const posted: PostedQuestion = { id: this.#count, question };
    this.#waiting.set(posted.id, { settle, fail });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
    running.thread.postMessage(posted);
    // Where this thread was busy, the answer may be there already, and is taken up before the second look.
    const timer = setTimeout(() => setImmediate(() => this.#giveUp(posted.id, running)), this.#answerWithin);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #settle(id: number, answer: PluginAnswer): void {
    this.#waiting.get(id)?.settle(answer);
    this.#waiting.delete(id);
  }

  /** Whether it computes or waits cannot be told from here, so its thread ends either way. */
  #giveUp(id: number, running: Running): void {
    if (!this.#waiting.has(id) || this.#running !== running) return;
    this.#end(new PluginError('timeout', `did not answer within ${this.#answerWithin} ms`));
  }

  #end(error: PluginError): void {
    const running = this.#running;
    this.#running = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { fail } of waiting) fail(error);
    void running?.thread.terminate();
  }
}
