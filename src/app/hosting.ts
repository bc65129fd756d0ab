import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { floorOf, type PullThrough } from '../cache/index.ts';
import type { Config } from '../config/index.ts';
import { DeletionPause, type Hosting, HostingRules, type LayoutWriter } from '../hosting/index.ts';
import type { Repository } from '../oci/index.ts';
import type { PushedRows } from '../registry/index.ts';
import type { Catalogue } from '../routing/index.ts';
import { freeSpace, keptKey, openHostedBlobStore } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { loadHostedStore, loadHosting, loadLayouts, loadPushedRows, SettingsError } from './settings/index.ts';
import type { Storage } from './storage.ts';
import type { UpstreamSets } from './upstream-set.ts';

/** Hosted content in a cache directory: bytes, records and layouts of its own. */
const DIRECTORY = 'hosted';
const RECORDS = 'hosted.db';
/** In the cache directory: what uploads that pass through are sealed with. */
const PUSH_KEY = 'push.key';

/** Repositories of one page of the records. */
const PAGE = 1000;
/** Repositories that are looked at for those that are not configured any more. */
const MAX_LOOKED_AT = 100_000;
/** Names in one warning. */
const MAX_NAMES = 5;
/** Milliseconds for which a reading of the disk counts. */
const DISK_READ_EVERY = 1000;

/** The copy of the records that a backup takes. */
const SNAPSHOT = 'hosted.db.snapshot';

const BACKUP_UNDER_WAY =
  'a backup is under way already. Wait until it has ended; one that was killed ends by itself within a minute';

/** What a command copies, and the name of the pause that it renews. */
export interface BegunBackup {
  readonly id: string;
  /** Milliseconds within which it has to be renewed. */
  readonly lease: number;
  /** The path of a copy of the records, below the cache directory; undefined where nothing was ever hosted. */
  readonly snapshot: string | undefined;
}

interface HostedContext {
  readonly telemetry: Telemetry;
  readonly storage: Pick<Storage, 'store'>;
  readonly cache: Pick<PullThrough, 'totals' | 'makeRoom'>;
  /** Takes what closes it again. */
  readonly cleanups: (() => unknown)[];
}

/** What the status and the metrics say of hosted content. */
export interface HostedReading {
  readonly repositories: number;
  /** Distinct digests, and their bytes: each once, whatever the number of its repositories. */
  readonly digests: number;
  readonly bytes: number;
  /** Uploads that were begun and not ended, and their bytes. */
  readonly uploads: number;
  readonly uploadBytes: number;
}

/**
 * What is hosted in the cache directory of a process. It is opened with the first configuration that hosts something, stays open
 * until the end, and is closed before the directory is released. What is no longer configured stays on disk as it is.
 */
export class HostedContent {
  readonly #context: HostedContext;
  readonly #pause = new DeletionPause();
  readonly #dir: string | undefined;
  /** Seals where uploads go on at an upstream, over restarts; undefined without a cache directory. */
  readonly pushKey: (() => Promise<Buffer>) | undefined;
  #cache: Config['cache'];
  #rules = new HostingRules([]);
  #opened: Promise<Hosting> | undefined;
  #current: Hosting | undefined;
  #layouts: LayoutWriter | undefined;
  /** Whether a configuration with it is in effect. */
  #isFollowed = false;
  #isStarted = false;
  /** Why it could not be opened, at the last attempt. */
  #failure: string | undefined;
  #disk: { readonly free: number; readonly total: number; readonly evictable: number } | undefined;
  #diskReadAt = Number.NEGATIVE_INFINITY;
  #hidden: readonly string[] = [];

  /** @param config its cache directory is that of the process */
  constructor({ cache }: Pick<Config, 'cache'>, context: HostedContext) {
    this.#cache = cache;
    this.#dir = cache === 'off' ? undefined : join(cache.dir, DIRECTORY);
    this.pushKey = cache === 'off' ? undefined : () => keptKey(cache.dir, PUSH_KEY);
    this.#context = context;
    context.cleanups.push(() => this.#close());
  }

  /** What is open; undefined where nothing was hosted since the start. */
  get current(): Hosting | undefined {
    return this.#current;
  }

  /** What is on disk and not served, as a note; undefined where there is nothing of that kind. */
  get note(): string | undefined {
    if (this.#failure !== undefined) {
      return `registries: hosted repositories are not served, and what is mirrored is: ${this.#failure}`;
    }
    if (this.#hidden.length > 0) {
      const more = this.#hidden.length - MAX_NAMES;
      const names = `${this.#hidden.slice(0, MAX_NAMES).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
      return `registries: images were pushed to ${names}, which are not hosted any more: they are kept, and not served. Set hosted under their registry to serve them`;
    }
    if (this.#opened !== undefined || this.#dir === undefined || !existsSync(join(this.#dir, RECORDS)))
      return undefined;
    return `registries: ${this.#dir} holds images that were pushed, and nothing is hosted: they are kept, and not served. Set hosted under their registry to serve them, or delete the directory while no server runs`;
  }

  /**
   * Opens it, once. A failure is tried again at the next call: the operator may have put a copy in place.
   *
   * @throws {SettingsError} where there is no cache directory @throws {HostedStoreError} {DirectoryError}
   */
  open(): Promise<Hosting> {
    this.#opened ??= this.#open().then(
      (hosting) => {
        // The configuration that waits for it has been in effect since an earlier attempt failed; else `follow` comes next.
        if (this.#failure !== undefined && this.#isFollowed) this.#start(hosting);
        this.#failure = undefined;
        return hosting;
      },
      (error: unknown) => {
        this.#opened = undefined;
        if (!(error instanceof SettingsError)) this.#failure = reasonOf(error);
        throw error;
      },
    );
    return this.#opened;
  }

  /** Takes up what a configuration says, which is in effect from now on. */
  follow({ cache }: Pick<Config, 'cache'>, catalogue: Catalogue): void {
    this.#cache = cache;
    this.#rules = new HostingRules(catalogue.list());
    this.#isFollowed = true;
    if (this.#rules.isEmpty) this.#failure = undefined;
    const hosting = this.#current;
    if (hosting !== undefined) this.#start(hosting);
  }

  #start(hosting: Hosting): void {
    if (!this.#isStarted) hosting.start();
    this.#isStarted = true;
    void this.#findHidden(hosting);
  }

  /** Undefined where nothing was hosted since the start. */
  async read(): Promise<HostedReading | undefined> {
    const hosting = this.#current;
    if (hosting === undefined) return undefined;
    const { count, bytes } = hosting.uploads;
    return { ...(await hosting.records.totals()), uploads: count, uploadBytes: bytes };
  }

  /** Uploads that have not ended; undefined where nothing was hosted since the start. */
  get uploads(): { readonly open: number; readonly busy: number; readonly bytes: number } | undefined {
    const uploads = this.#current?.uploads;
    return uploads === undefined ? undefined : { open: uploads.count, busy: uploads.busy, bytes: uploads.bytes };
  }

  /**
   * Begins a backup: no file is deleted from now on, and a copy of the records is made. Where nothing is hosted any more, they are opened
   * for the copy alone.
   *
   * @throws {Error} where one is under way; what the records and the disk throw
   */
  async beginBackup(): Promise<BegunBackup> {
    const directory = this.#dir;
    const id = this.#pause.begin();
    if (id === undefined) throw new Error(BACKUP_UNDER_WAY);
    try {
      const lease = this.#pause.lease;
      const hosting = await this.#opened?.catch(() => undefined);
      // Lost records are not the same as none: opening them says so.
      const isThere = (dir: string): boolean => [RECORDS, 'repositories'].some((name) => existsSync(join(dir, name)));
      if (directory === undefined || (hosting === undefined && !isThere(directory))) {
        return { id, lease, snapshot: undefined };
      }
      await this.#snapshot(join(directory, SNAPSHOT), hosting);
      this.#pause.renew(id);
      return { id, lease, snapshot: join(DIRECTORY, SNAPSHOT) };
    } catch (error) {
      await this.#pause.end(id);
      throw error;
    }
  }

  /** Whether the backup may go on. */
  renewBackup(id: string): boolean {
    return this.#pause.renew(id);
  }

  /** Ends a backup: what had to wait is deleted. */
  async endBackup(id: string): Promise<boolean> {
    if (!this.#pause.renew(id)) return false;
    if (this.#dir !== undefined) await rm(join(this.#dir, SNAPSHOT), { force: true });
    return this.#pause.end(id);
  }

  async #snapshot(target: string, hosting: Hosting | undefined): Promise<void> {
    await rm(target, { force: true });
    if (hosting !== undefined) return hosting.records.backUp(target);
    const { openHostedStore } = await loadHostedStore();
    const records = await openHostedStore(join(this.#dir ?? '', RECORDS));
    try {
      await records.backUp(target);
    } finally {
      await records.close();
    }
  }

  async #open(): Promise<Hosting> {
    const directory = this.#dir;
    if (directory === undefined) {
      throw new SettingsError([
        'registries: hosted images need the cache, which is off. Restart the server with a cache',
      ]);
    }
    const { telemetry, storage } = this.#context;
    const onWarning = (message: string): void => telemetry.publish('warning', { message });
    const [{ Hosting }, { openHostedStore }, { LayoutWriter, watchRecords }] = await Promise.all([
      loadHosting(),
      loadHostedStore(),
      loadLayouts(),
    ]);
    await mkdir(directory, { recursive: true });
    // The records first: a newer release may have written them, and then nothing else is touched.
    const records = await openHostedStore(join(directory, RECORDS), { onWarning });
    try {
      const store = await openHostedBlobStore(directory, { onUnknown: onWarning });
      await this.#readDisk();
      const layouts = new LayoutWriter({ directory, records, store, warn: onWarning });
      await layouts.start();
      this.#layouts = layouts;
      this.#current = await Hosting.open({
        store,
        records: watchRecords(records, (repository) => layouts.changed(repository)),
        cacheStore: storage.store,
        rules: () => this.#rules,
        pause: this.#pause,
        telemetry,
        verifyAfter: () => (this.#cache === 'off' ? 0 : this.#cache.verifyAfter),
        mayStore: (bytes) => this.#mayStore(bytes),
      });
      return this.#current;
    } catch (error) {
      await this.#layouts?.close();
      this.#layouts = undefined;
      await records.close();
      throw error;
    }
  }

  /** Whether `min_free` stays free, once the cache has made room. */
  #mayStore(bytes: number): boolean {
    if (performance.now() - this.#diskReadAt > DISK_READ_EVERY) void this.#readDisk();
    const disk = this.#disk;
    if (disk === undefined || this.#cache === 'off') return true;
    return disk.free + disk.evictable - bytes >= floorOf(this.#cache.minFree, disk.total);
  }

  /** A disk that cannot be measured takes what it is given, or refuses it itself. */
  async #readDisk(): Promise<void> {
    this.#diskReadAt = performance.now();
    if (this.#dir === undefined) return;
    try {
      const [space, { bytes: evictable }] = await Promise.all([freeSpace(this.#dir), this.#context.cache.totals()]);
      this.#disk = { ...space, evictable };
      if (this.#cache !== 'off' && space.free < floorOf(this.#cache.minFree, space.total))
        this.#context.cache.makeRoom();
    } catch {
      this.#disk = undefined;
    }
  }

  /** Looks for repositories that were pushed to, and whose home is not here any more. */
  async #findHidden({ records }: Hosting): Promise<void> {
    const rules = this.#rules;
    const hidden: string[] = [];
    try {
      let page = await records.listRepositories({ limit: PAGE });
      for (let seen = page.length; ; seen += page.length) {
        hidden.push(...page.filter((each) => rules.homeOf(each) !== 'here').map(repositoryText));
        if (page.length < PAGE || seen >= MAX_LOOKED_AT) break;
        page = await records.listRepositories({ after: page.at(-1), limit: PAGE });
      }
    } catch {
      // What the records cannot say, the next request says.
      return;
    }
    // Another configuration came meanwhile.
    if (rules !== this.#rules) return;
    const isNew = hidden.join() !== this.#hidden.join();
    this.#hidden = hidden;
    const { note } = this;
    if (isNew && note !== undefined && hidden.length > 0) this.#context.telemetry.publish('warning', { message: note });
  }

  async #close(): Promise<void> {
    this.#pause.close();
    const hosting = await this.#opened?.catch(() => undefined);
    if (hosting === undefined) return;
    await hosting.close();
    // What changed last is written, as far as that is quick.
    await this.#layouts?.close();
    await hosting.records.close();
  }
}

function repositoryText({ registry, repository }: Repository): string {
  return `${registry}/${repository}`;
}

interface PushedParts {
  readonly hosted: HostedContent;
  readonly cache: PullThrough;
  readonly upstreamSets: UpstreamSets;
  readonly telemetry: Telemetry;
}

/** A failure as the operator reads it: those that are not the system's are sentences with their remedy. */
function reasonOf(error: unknown): string {
  const { message, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return message;
  return `Cannot open hosted/ in the cache directory: ${message}. Let the user of the server write there, with some free space.`;
}

/**
 * The rows of what can be pushed to by a configuration; undefined where nothing can. Where hosted content cannot be opened, its
 * repositories answer 503, until one of the later attempts opens it.
 *
 * @throws {SettingsError} where there is no cache directory
 */
export async function pushedRowsOf(
  catalogue: Catalogue,
  { hosted, cache, upstreamSets, telemetry }: PushedParts,
): Promise<PushedRows | undefined> {
  const rules = new HostingRules(catalogue.list());
  if (rules.isEmpty) return undefined;
  const { createClosedRows, createPushedRows, createThroughRows } = await loadPushedRows();
  const through = createThroughRows({
    pushOriginFor: (registry, via) => upstreamSets.pushOriginOf(registry, via),
    cache,
    telemetry,
    isHosted: (repository) => rules.homeOf(repository) === 'here',
    isImmutable: (repository, tag) => rules.isImmutable(repository, tag),
    hasImmutable: (repository) => rules.hasImmutable(repository),
    key: hosted.pushKey,
  });
  const isAnyHosted = catalogue.list().some(({ hosting }) => (hosting?.hosted.length ?? 0) > 0);
  if (isAnyHosted) {
    const rowsOf = (hosting: Hosting): PushedRows =>
      createPushedRows({
        hosting,
        rules: () => rules,
        cache,
        catalogue,
        through,
        mirroredBlob: async (from, digest, { onlyPublic }) => {
          const registry = catalogue.byName(from.registry);
          if (registry === undefined) return false;
          const anonymous = { sources: upstreamSets.anonymousOf(registry, undefined) };
          return cache.isMember(from, digest, onlyPublic ? { anonymous } : {});
        },
      });
    try {
      return rowsOf(await hosted.open());
    } catch (error) {
      if (error instanceof SettingsError) throw error;
      // What is mirrored does without: the log and the status say why hosted repositories are not served.
      return createClosedRows({ rules: () => rules, through, open: async () => rowsOf(await hosted.open()) });
    }
  }
  return {
    rowOf: (request) => (rules.homeOf(request.repository) === 'pushed through' ? through.rowOf(request) : undefined),
  };
}
