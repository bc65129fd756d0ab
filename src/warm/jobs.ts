import { randomUUID } from 'node:crypto';
import { ConcurrencyLimit, keyOf } from '../lib/index.ts';
import { formatReference, OciError, type OriginSource } from '../oci/index.ts';
import type { WarmCache } from './fetch-blob.ts';
import { fetchImage, type ImageToWarm } from './fetch-image.ts';
import { Job } from './job.ts';
import { retryDelay } from './retry.ts';
import { type Entry, type ImageState, type JobView, MAX_LISTED, type SeesRepository } from './view.ts';
import { Work } from './work.ts';

export interface WarmJobsOptions {
  readonly cache: WarmCache;
  /** The upstreams of a registry now; throws where there is no such registry. Called at each attempt. */
  readonly originFor: (registry: string) => OriginSource;
  /** Transfers from a registry at once, so that clients find a connection free. */
  readonly transfersFrom: (registry: string) => number;
  /** @default {@link retryDelay} at random */
  readonly retryAfter?: (error: unknown, failures: number) => number | undefined;
  /** Milliseconds between two calls about a job. @default 1000 */
  readonly hearEvery?: number;
  readonly now?: () => number;
}

/** A job that has changed. */
export interface WarmedJob {
  readonly id: string;
  /** Undefined where the caller may see none of its images. */
  readonly view: (sees: SeesRepository) => Promise<JobView | undefined>;
}

/** Jobs that have not ended. */
const MAX_JOBS = 100;
/** Images of them all: about 25 MB. */
const MAX_IMAGES = 20_000;
/** Jobs that are kept after their end, and for how long. Milliseconds. */
const MAX_ENDED = 200;
const KEPT_FOR = 3_600_000;
/** Images at once, of all jobs. */
const IMAGES_AT_ONCE = 4;
/** Images in one list of jobs. */
const MAX_IN_LIST = 5000;

/**
 * Jobs that fetch images into the cache: one for each call. Jobs take turns, so that a long one does not keep a short one
 * waiting. An image that another job is fetching already is fetched once, for both.
 */
export class WarmJobs {
  readonly #options: WarmJobsOptions;
  readonly #now: () => number;
  /** All that are kept, the oldest first. */
  readonly #jobs = new Map<string, Job>();
  /** Those that have not ended, the one whose turn is next first. */
  readonly #turns: Job[] = [];
  /** What has not ended. */
  readonly #works = new Map<string, Work>();
  readonly #attempts = new Map<Work, Promise<void>>();
  readonly #slots = new Map<string, { readonly transfers: number; readonly limit: ConcurrencyLimit }>();
  readonly #hearers = new Set<(job: WarmedJob) => void>();
  /** What was heard last of each job that may change. */
  readonly #heard = new Map<Job, number>();
  #ticking: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: WarmJobsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Begins a job.
   *
   * @param images at least one; those that are named twice are fetched once
   * @throws {OciError} where too many jobs run, or the server stops
   */
  start(images: readonly ImageToWarm[], by: string): Job {
    if (this.#isClosed) throw new OciError('UNAVAILABLE', 'the server is stopping');
    const wanted = new Map(images.map((image) => [keyOfWork(image), image]));
    const news = [...wanted.keys()].filter((key) => !this.#works.has(key)).length;
    if (this.#turns.length >= MAX_JOBS || this.#works.size + news > MAX_IMAGES) {
      const message = `${this.#turns.length} jobs with ${this.#works.size} images run or wait, and at most ${MAX_JOBS} jobs with ${MAX_IMAGES} images may; wait for one to end, or cancel one`;
      throw new OciError('TOOMANYREQUESTS', message);
    }
    const job = new Job({ id: randomUUID().slice(0, 8), by, startedAt: this.#now() });
    const joined = new Set<Job>();
    for (const [key, image] of wanted) {
      const running = this.#works.get(key);
      const work = running ?? new Work(key, image);
      for (const other of work.jobs) joined.add(other);
      work.jobs.add(job);
      job.entries.set(key, work);
      if (running !== undefined) continue;
      this.#works.set(key, work);
      job.ready.push(key);
    }
    job.left = wanted.size;
    for (const other of joined) {
      other.joined += 1;
      this.#changed(other);
    }
    this.#jobs.set(job.id, job);
    this.#turns.push(job);
    this.#changed(job);
    this.#prune();
    this.#pump();
    return job;
  }

  /** The jobs that run, wait or ended within the last hour, the newest first. */
  async list(sees: SeesRepository): Promise<readonly JobView[]> {
    this.#prune();
    const views: JobView[] = [];
    let room = MAX_IN_LIST;
    for (const job of [...this.#jobs.values()].toReversed()) {
      const view = await job.view(sees, Math.min(room, MAX_LISTED));
      if (view === undefined) continue;
      room -= view.images.length;
      views.push(view);
    }
    return views;
  }

  find(id: string): Job | undefined {
    return this.#jobs.get(id);
  }

  /** Ends a job. Transfers that clients or other jobs follow go on. */
  cancel(job: Job): void {
    if (job.endedAt !== undefined) return;
    for (const [key, entry] of job.entries) {
      const work = this.#works.get(key);
      if (work === undefined || work !== entry) continue;
      work.jobs.delete(job);
      if (work.jobs.size === 0) {
        work.state = 'cancelled';
        clearTimeout(work.timer);
        this.#works.delete(key);
        work.abort.abort(new Error('The job was cancelled'));
      } else if (job.ready.includes(key)) this.#heirOf(work).ready.push(key);
      job.entries.set(key, endedEntry(work, 'cancelled'));
    }
    job.ready.length = 0;
    this.#end(job);
  }

  /** Calls `hear` for each job that has changed, once a second at most. Returns what ends the calls. */
  onChange(hear: (job: WarmedJob) => void): () => void {
    this.#hearers.add(hear);
    this.#tick();
    return () => this.#hearers.delete(hear);
  }

  /** Cancels every job; resolves when nothing of them runs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#ticking);
    this.#hearers.clear();
    for (let [job] = this.#turns; job !== undefined; [job] = this.#turns) this.cancel(job);
    await Promise.all(this.#attempts.values());
  }

  #pump(): void {
    while (this.#attempts.size < IMAGES_AT_ONCE) {
      const work = this.#next();
      if (work === undefined) return;
      const attempt = this.#attempt(work).finally(() => {
        this.#attempts.delete(work);
        this.#pump();
      });
      this.#attempts.set(work, attempt);
    }
  }

  #next(): Work | undefined {
    for (let looked = this.#turns.length; looked > 0; looked -= 1) {
      const job = this.#turns.shift();
      if (job === undefined) return undefined;
      this.#turns.push(job);
      const work = this.#works.get(job.ready.shift() ?? '');
      if (work !== undefined) return work;
    }
    return undefined;
  }

  /** Never rejects. */
  async #attempt(work: Work): Promise<void> {
    const { cache, originFor } = this.#options;
    const { image, progress } = work;
    const { signal } = work.abort;
    this.#set(work, 'running');
    try {
      const origin = originFor(image.repository.registry);
      await fetchImage(image, progress, { cache, origin, signal, slots: this.#slotsOf(image.repository.registry) });
      if (signal.aborted) return;
      work.message = undefined;
      this.#finish(work, 'done');
    } catch (error) {
      if (signal.aborted) return;
      work.failed(error);
      const delay = this.#retryAfter(error, work.failures);
      if (delay === undefined) this.#finish(work, 'failed');
      else this.#wait(work, delay);
    }
  }

  #retryAfter(error: unknown, failures: number): number | undefined {
    const { retryAfter = (why, count) => retryDelay(why, { failures: count, random: Math.random() }) } = this.#options;
    return retryAfter(error, failures);
  }

  #wait(work: Work, delay: number): void {
    this.#set(work, 'waiting');
    work.timer = setTimeout(() => {
      work.timer = undefined;
      this.#heirOf(work).ready.push(work.key);
      this.#pump();
    }, delay).unref();
  }

  /** The job whose turns an image takes. */
  #heirOf(work: Work): Job {
    const [job] = work.jobs;
    if (job === undefined) throw new TypeError('Cannot find a job that wants the image');
    return job;
  }

  #finish(work: Work, state: ImageState): void {
    this.#set(work, state);
    this.#works.delete(work.key);
    for (const job of work.jobs) {
      job.entries.set(work.key, endedEntry(work, state));
      job.left -= 1;
      if (job.left === 0) this.#end(job);
    }
  }

  #set(work: Work, state: ImageState): void {
    work.state = state;
    for (const job of work.jobs) this.#changed(job);
  }

  #end(job: Job): void {
    job.endedAt = this.#now();
    const at = this.#turns.indexOf(job);
    if (at !== -1) this.#turns.splice(at, 1);
    this.#changed(job);
    this.#prune();
  }

  /** Forgets jobs that ended long ago, and the oldest ones where too much is kept. */
  #prune(): void {
    const ended = [...this.#jobs.values()].filter((job) => job.endedAt !== undefined);
    let count = 0;
    let images = 0;
    for (const job of ended.toReversed()) {
      count += 1;
      images += job.entries.size;
      const isOld = this.#now() - (job.endedAt ?? 0) > KEPT_FOR;
      if (isOld || count > MAX_ENDED || images > MAX_IMAGES) this.#jobs.delete(job.id);
    }
    if (this.#works.size === 0) this.#slots.clear();
  }

  /** A reload may change how many transfers a registry takes: those that have begun end under the old number. */
  #slotsOf(registry: string): ConcurrencyLimit {
    const transfers = Math.max(1, this.#options.transfersFrom(registry));
    const known = this.#slots.get(registry);
    const slots = known?.transfers === transfers ? known : { transfers, limit: new ConcurrencyLimit(transfers) };
    this.#slots.set(registry, slots);
    return slots.limit;
  }

  #changed(job: Job): void {
    job.changes += 1;
    if (!this.#heard.has(job)) this.#heard.set(job, 0);
    this.#tick();
  }

  /** Keeps a timer while there is something to tell, and a hearer. */
  #tick(): void {
    const { hearEvery = 1000 } = this.#options;
    if (this.#hearers.size === 0) {
      this.#heard.clear();
      return;
    }
    for (const job of this.#turns) if (!this.#heard.has(job)) this.#heard.set(job, 0);
    if (this.#ticking !== undefined || this.#heard.size === 0 || this.#isClosed) return;
    this.#ticking = setTimeout(() => {
      this.#ticking = undefined;
      this.#tell();
      this.#tick();
    }, hearEvery).unref();
  }

  #tell(): void {
    for (const [job, before] of this.#heard) {
      const mark = this.#markOf(job);
      if (job.endedAt === undefined) this.#heard.set(job, mark);
      else this.#heard.delete(job);
      if (mark === before && job.endedAt === undefined) continue;
      const told: WarmedJob = { id: job.id, view: (sees) => job.view(sees) };
      for (const hear of this.#hearers) hear(told);
    }
  }

  /** A number that grows with what happens in a job. */
  #markOf(job: Job): number {
    let mark = job.changes;
    for (const work of this.#attempts.keys()) if (work.jobs.has(job)) mark += work.progress.bytes;
    return mark;
  }
}

function keyOfWork({ text, reference, platforms, needsEach }: ImageToWarm): string {
  return keyOf(text, formatReference(reference), [...platforms].toSorted().join(' '), String(needsEach));
}

/** What is kept of an image after its end. */
function endedEntry(work: Work, state: ImageState): Entry {
  const { repository } = work;
  const view = { ...work.view(), state };
  return { repository, view: () => view };
}
