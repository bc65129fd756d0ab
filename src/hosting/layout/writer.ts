import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { inTurns, keyOf } from '../../lib/index.ts';
import type { Digest, Repository } from '../../oci/index.ts';
import {
  createDurableDirectories,
  type HostedBlob,
  type HostedStore,
  type LinkableBlobStore,
} from '../../store/index.ts';
import { LayoutDirectory, NoLinksError } from './layout-directory.ts';
import { layoutsIn, needsRebuild } from './layout-files.ts';
import { formatIndex, type LayoutManifest, type LayoutTag } from './layout-index.ts';
import { layoutName } from './name.ts';

/** What is asked of the records. */
export type LayoutRecords = Pick<
  HostedStore,
  'hasRepository' | 'listBlobs' | 'listManifests' | 'listRepositories' | 'listTags' | 'totals'
>;

export interface LayoutWriterOptions {
  /** Of hosted content; the layouts are in its `repositories/`. */
  readonly directory: string;
  readonly records: LayoutRecords;
  readonly store: LinkableBlobStore;
  readonly warn: (message: string) => void;
  /** Milliseconds after a change until it is written, with what changes meanwhile. @default 1000 */
  readonly delay?: number | undefined;
  /**
   * A repository is not written again before this many times what it took: a large one that changes all the time takes a twentieth of the
   * disk's time, however long one write of it lasts. @default 20
   */
  readonly rest?: number | undefined;
  /** Milliseconds that `close` waits for what is not written yet. @default 5000 */
  readonly closeWithin?: number | undefined;
}

const DELAY = 1000;
const CLOSE_WITHIN = 5000;

const REST = 20;

/** The comparison rests this part of it: a fifth of the disk's time is the comparison's, while it lasts. */
const SCAN_PART = 1 / 5;

/** Milliseconds after which a repository is tried again that could not be written. */
const RETRY = 30_000;

/** Records that are asked for at a time. */
const PAGE = 100;

interface Dirty {
  readonly repository: Repository;
  readonly notBefore: number;
}

/** How far the comparison has come. */
interface Scan {
  after: Repository | undefined;
  page: Repository[];
  notBefore: number;
}

/**
 * Keeps an OCI image layout of each hosted repository up to date, in batches after changes. The records decide; the layouts follow, and
 * can rebuild them.
 *
 * After a start it compares every repository with its layout, beside what changes. A mark on the disk before each change, instead,
 * would cost every push a flush, and would not find what else differs: a backup of the records that was put back, links that a person
 * removed.
 */
export class LayoutWriter {
  readonly #root: string;
  readonly #options: LayoutWriterOptions;
  readonly #delay: number;
  readonly #rest: number;
  /** By `keyOf`; in the order of the changes. */
  readonly #dirty = new Map<string, Dirty>();
  /** When repositories may be written again that were large; those whose time has come are removed. */
  readonly #resting = new Map<string, number>();
  /** The layouts of repositories that were written, while the comparison runs. */
  readonly #known = new Set<string>();
  #scan: Scan | undefined;
  #state: 'new' | 'on' | 'off' | 'closing' = 'new';
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;
  #whenSettled: (() => void)[] = [];
  /** Layouts of which it was said that they cannot be written, since they could. */
  readonly #failing = new Set<string>();
  readonly #stop = new AbortController();
  /** Whether it was said that links are missing: once is enough, as it would be said at each write. */
  #hasWarnedOfUnlinked = false;

  constructor(options: LayoutWriterOptions) {
    this.#options = options;
    this.#root = layoutsIn(options.directory);
    this.#delay = options.delay ?? DELAY;
    this.#rest = options.rest ?? REST;
  }

  /**
   * Begins to write and to compare. It stays off, and says so, where there are layouts and no records: they are what is left of them.
   *
   * @throws the system's error where the directory cannot be made
   */
  async start(): Promise<void> {
    const { directory, records, warn } = this.#options;
    await createDurableDirectories([directory, this.#root]);
    if (await needsRebuild({ directory, records })) {
      this.#state = 'off';
      this.#dirty.clear();
      warn(
        `${this.#root} has OCI layouts of hosted repositories, and the records (hosted.db) are empty. ` +
          'The layouts are left as they are until the records are rebuilt from them, or they are moved elsewhere.',
      );
      return;
    }
    this.#state = 'on';
    this.#scan = { after: undefined, page: [], notBefore: 0 };
    this.#schedule();
  }

  /** To be called after each change of a repository's records or files. It never waits, and never fails. */
  changed(repository: Repository): void {
    if (this.#state === 'off' || this.#state === 'closing') return;
    const { registry, repository: name } = repository;
    const key = keyOf(registry, name);
    const before = this.#dirty.get(key);
    if (before !== undefined) return;
    const notBefore = Math.max(performance.now() + this.#delay, this.#resting.get(key) ?? 0);
    this.#dirty.set(key, { repository: { registry, repository: name }, notBefore });
    if (notBefore < this.#timerAt) this.#schedule();
  }

  /** Resolves when every change so far is written, and every repository was compared; at once where it is off. */
  async settled(): Promise<void> {
    if (this.#isSettled()) return;
    await new Promise<void>((resolve) => this.#whenSettled.push(resolve));
  }

  /** Writes what has changed, for some seconds, and ends. What is left, the comparison after the next start finds. */
  async close(): Promise<void> {
    const isOn = this.#state === 'on';
    this.#state = 'closing';
    clearTimeout(this.#timer);
    const deadline = setTimeout(() => this.#stop.abort(), this.#options.closeWithin ?? CLOSE_WITHIN);
    await this.#running;
    if (isOn) {
      for (const [key, { repository }] of this.#dirty) {
        if (!this.#stop.signal.aborted) await this.#writeOrKeep(key, repository);
      }
    }
    clearTimeout(deadline);
    this.#dirty.clear();
    this.#scan = undefined;
    this.#tellSettled();
  }

  #isSettled(): boolean {
    if (this.#state === 'off' || this.#state === 'closing') return true;
    return this.#dirty.size === 0 && this.#scan === undefined && this.#running === undefined && this.#state === 'on';
  }

  #tellSettled(): void {
    if (!this.#isSettled()) return;
    for (const resolve of this.#whenSettled.splice(0)) resolve();
  }

  #schedule(): void {
    if (this.#state !== 'on' || this.#running !== undefined) return;
    const times = Array.from(this.#dirty.values(), ({ notBefore }) => notBefore);
    if (this.#scan !== undefined) times.push(this.#scan.notBefore);
    clearTimeout(this.#timer);
    this.#timerAt = times.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    if (times.length === 0) return this.#tellSettled();
    const wait = Math.max(0, this.#timerAt - performance.now());
    this.#timer = setTimeout(() => {
      this.#running = this.#turn().finally(() => {
        this.#running = undefined;
        this.#schedule();
      });
    }, wait);
  }

  /** Writes the repositories whose time has come, one after the other; else compares one. */
  async #turn(): Promise<void> {
    const now = performance.now();
    for (const [key, time] of this.#resting) if (time <= now) this.#resting.delete(key);
    const due = this.#dirty.entries().find(([, { notBefore }]) => notBefore <= now);
    if (due !== undefined) {
      const [key, { repository }] = due;
      this.#dirty.delete(key);
      await this.#writeOrKeep(key, repository);
    } else if (this.#scan !== undefined) {
      await this.#compareNext(this.#scan);
    }
  }

  async #compareNext(scan: Scan): Promise<void> {
    const begun = performance.now();
    try {
      if (scan.page.length === 0) {
        scan.page = [...(await this.#options.records.listRepositories({ after: scan.after, limit: PAGE }))];
        scan.after = scan.page.at(-1);
        if (scan.page.length === 0) {
          this.#scan = undefined;
          await this.#reportOthers();
          return;
        }
      }
    } catch (error) {
      this.#warnOf(this.#root, error);
      scan.notBefore = performance.now() + RETRY;
      return;
    }
    const repository = scan.page.shift() as Repository;
    await this.#writeOrKeep(keyOf(repository.registry, repository.repository), repository);
    scan.notBefore = performance.now() + SCAN_PART * this.#rest * (performance.now() - begun);
  }

  /** Writes a repository, and keeps it for later where that fails. */
  async #writeOrKeep(key: string, repository: Repository): Promise<void> {
    const begun = performance.now();
    const path = join(this.#root, layoutName(repository));
    try {
      await this.#write(repository, path);
      this.#failing.delete(path);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      if (error instanceof NoLinksError) return this.#switchOff(error);
      this.#warnOf(path, error);
      if (this.#state === 'on') this.#dirty.set(key, { repository, notBefore: performance.now() + RETRY });
      return;
    }
    const ended = performance.now();
    const rest = this.#rest * (ended - begun);
    if (rest <= this.#delay) return;
    this.#resting.set(key, ended + rest);
    // It changed while it was written.
    const dirty = this.#dirty.get(key);
    if (dirty !== undefined) this.#dirty.set(key, { repository, notBefore: ended + rest });
  }

  async #write(repository: Repository, path: string): Promise<void> {
    const { records, store, warn } = this.#options;
    if (!(await records.hasRepository(repository))) return;
    if (this.#scan !== undefined) this.#known.add(layoutName(repository));
    const { tags, manifests, blobs } = await readContent(records, repository);
    const digests = new Set([...blobs, ...manifests.map(({ digest }) => digest)]);
    const directory = new LayoutDirectory(path, store);
    const { there, unlinked } = await directory.link(digests, this.#stop.signal);
    if (unlinked.length > 0 && !this.#hasWarnedOfUnlinked) {
      this.#hasWarnedOfUnlinked = true;
      warn(
        `${path} lacks ${unlinked.length} of ${digests.size} blobs (${unlinked[0]}): their files have as many names as ` +
          'the file system allows, or something else is in their place. A rebuild of the records would not find them.',
      );
    }
    const present = manifests.filter(({ digest }) => there.has(digest));
    await directory.writeIndex(await inTurns(formatIndex({ repository, manifests: present, tags })));
    await directory.removeOthers(digests);
  }

  /** Layouts of no repository are never removed: they may be all that is left of what was pushed. */
  async #reportOthers(): Promise<void> {
    const names = await readdir(this.#root).catch(() => []);
    for (const { repository } of this.#dirty.values()) this.#known.add(layoutName(repository));
    const others = names.filter((name) => !this.#known.has(name));
    this.#known.clear();
    const [first] = others;
    if (first === undefined) return;
    this.#options.warn(
      `${this.#root} has ${others.length} entries (${first}) of no repository that the records know. They are left there. ` +
        'Rebuild the records from them if the records were lost; otherwise move them elsewhere.',
    );
  }

  #switchOff(cause: NoLinksError): void {
    if (this.#state === 'on') this.#state = 'off';
    this.#dirty.clear();
    this.#scan = undefined;
    this.#options.warn(
      `Hosted repositories are not kept as OCI layouts: the file system of ${this.#options.directory} makes no hard links ` +
        `(${cause.message}). If the records (hosted.db) are lost, the names and tags of what was pushed cannot be rebuilt. ` +
        'Back the records up, or move the cache directory to a file system with hard links, such as ext4 or XFS.',
    );
    this.#tellSettled();
  }

  #warnOf(path: string, error: unknown): void {
    if (this.#failing.has(path)) return;
    this.#failing.add(path);
    this.#options.warn(
      `The OCI layout ${path} cannot be written (${error instanceof Error ? error.message : String(error)}). ` +
        'What was pushed is stored and served; the layout is tried again. Free some space if the disk is full.',
    );
  }
}

/** What the records have of a repository. Not of one moment: what changes meanwhile is written again. */
async function readContent(
  records: LayoutRecords,
  repository: Repository,
): Promise<{
  readonly tags: readonly LayoutTag[];
  readonly manifests: readonly LayoutManifest[];
  readonly blobs: ReadonlySet<Digest>;
}> {
  const tags = await everyPage<LayoutTag, string>(
    (page) => records.listTags(repository, page),
    ({ tag }) => tag,
  );
  const listed = await everyPage<Omit<LayoutManifest, 'isBlob'>, Digest>(
    async (page) =>
      // The annotations of a manifest may be as large as it, and are not written.
      (await records.listManifests(repository, page)).map(({ annotations: _large, subject: _other, ...rest }) => rest),
    ({ digest }) => digest,
  );
  const found = await everyPage<HostedBlob, Digest>(
    (page) => records.listBlobs(repository, page),
    ({ digest }) => digest,
  );
  const blobs = new Set(found.map(({ digest }) => digest));
  return { tags, manifests: listed.map((each) => ({ ...each, isBlob: blobs.has(each.digest) })), blobs };
}

async function everyPage<T, Key>(
  list: (page: { readonly after: Key | undefined; readonly limit: number }) => Promise<readonly T[]>,
  keyOfEntry: (entry: T) => Key,
): Promise<readonly T[]> {
  const found: T[] = [];
  for (let after: Key | undefined; ; ) {
    const page = await list({ after, limit: PAGE });
    found.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return found;
    after = keyOfEntry(last);
  }
}
