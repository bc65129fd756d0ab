import { randomUUID } from 'node:crypto';
import { Lru } from '../../lib/index.ts';
import { type Digest, type DigestAlgorithm, Digester, digestAlgorithm, type Repository } from '../../oci/index.ts';
import { type HostedBlob, type Ingestion, isFullDisk, type ResumableBlobStore } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { Arrivals, type ArrivalsOptions } from './arrivals.ts';
import { noRoom, overQuota, tooManyUploads, uploadBusy, uploadsClosed, uploadUnknown } from './errors.ts';
import { receive, requireDigest, type UploadBody } from './receive.ts';
import { type AppendOptions, type UploadOwner, UploadSession } from './session.ts';

export interface UploadsOptions extends ArrivalsOptions {
  /** Called at each use, as the limits may change. @default the defaults of each */
  readonly limits?: (() => UploadLimits) | undefined;
  /** Whether the disk has room for so many bytes more. @default it has */
  readonly mayStore?: ((bytes: number) => boolean) | undefined;
}

/** What uploads may hold, and for how long. */
export interface UploadLimits {
  /** Open uploads of one repository. @default 100 */
  readonly perRepository?: number | undefined;
  /** Open uploads of one principal. @default 200 */
  readonly perPrincipal?: number | undefined;
  /** Milliseconds without a request after which an upload is removed. @default 24 hours */
  readonly idleMs?: number | undefined;
  /** Milliseconds that a client may send nothing of a body. @default 60 seconds */
  readonly stallMs?: number | undefined;
  /** Milliseconds that a request waits for an earlier one of the same upload. @default 1 second */
  readonly patienceMs?: number | undefined;
  /**
   * Milliseconds of silence after which an earlier request of the same upload gives way: its client has left, and the network did not
   * say so. @default 10 seconds
   */
  readonly giveWayMs?: number | undefined;
}

/** An upload that one request holds. */
export interface HeldUpload {
  readonly id: string;
  /** Bytes that are there. */
  readonly size: number;
  /**
   * Adds a body. Where it rejects, the upload goes on at {@link size}.
   *
   * @param how `isWhole`: of a body that does not come to its end, no byte stays. `end`: the size that the upload has afterwards, or no
   * byte of the body stays
   * @throws {OciError} SIZE_INVALID where the body does not end there
   */
  append(body: UploadBody, how?: Pick<AppendOptions, 'isWhole' | 'end'>): Promise<void>;
  /** Says with which algorithm the upload will end; it saves a second look at the bytes where none has come. */
  prefer(algorithm: DigestAlgorithm): void;
  /**
   * Ends the upload: its bytes become a blob of its repository. Whatever comes of it, the upload is gone.
   *
   * @throws {OciError} DIGEST_INVALID where the bytes have another digest; DENIED where the repository would be over its quota
   */
  finish(digest: Digest): Promise<HostedBlob>;
}

const HOUR = 3_600_000;

/** Milliseconds between two looks for idle uploads. */
const SWEEP_EVERY = 600_000;

/** Files of resting uploads that stay open for their next request. */
const MAX_RESTING_OPEN = 64;

/** Uploads that are remembered after their end. */
const MAX_FINISHED = 1000;

/** How many bytes come between two looks at the room on the disk. */
const LOOK_EVERY = 16 * 1024 * 1024;

/**
 * The uploads to hosted repositories. They survive a restart: each is a named file of the blob store, with a note of whose it is.
 *
 * A client that may push can hold descriptors, names and disk with it, so all of these are bounded: by repository, by principal, and in
 * time.
 */
export class Uploads {
  readonly #store: ResumableBlobStore;
  readonly #telemetry: Telemetry;
  readonly #arrivals: Arrivals;
  readonly #options: UploadsOptions;
  readonly #now: () => number;
  readonly #sessions = new Map<string, UploadSession>();
  /** In the order of their last requests. */
  readonly #restingOpen = new Set<UploadSession>();
  readonly #sweeper: NodeJS.Timeout;
  /** By id: a client that lost the answer to its last request sends that again. */
  readonly #finished = new Lru<UploadOwner & { readonly digest: Digest }>({ maxWeight: MAX_FINISHED });
  /** Uploads that are being started: they count. */
  readonly #starting = new Set<UploadOwner>();
  /** Whether the operator knows that the disk is full. */
  #isFull = false;
  #isClosed = false;

  private constructor(options: UploadsOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#telemetry = options.telemetry;
    this.#arrivals = new Arrivals(options);
    this.#now = options.now ?? Date.now;
    this.#sweeper = setInterval(() => void this.sweep(), SWEEP_EVERY);
    this.#sweeper.unref();
  }

  /** Finds the uploads of earlier processes, and removes those that were idle for too long. */
  static async open(options: UploadsOptions): Promise<Uploads> {
    const uploads = new Uploads(options);
    for (const found of await options.store.listNamed()) {
      const session = UploadSession.restore(options.store, found);
      if (session !== undefined) uploads.#sessions.set(found.name, session);
      else await uploads.#removeUnreadable(found.name);
    }
    await uploads.sweep();
    return uploads;
  }

  /** Open uploads. */
  get count(): number {
    return this.#sessions.size;
  }

  /** Open uploads that a request is at work on. */
  get busy(): number {
    let busy = 0;
    for (const session of this.#sessions.values()) if (session.isBusy) busy += 1;
    return busy;
  }

  /** Bytes of open uploads. */
  get bytes(): number {
    let bytes = 0;
    for (const session of this.#sessions.values()) bytes += session.size;
    return bytes;
  }

  /**
   * Starts an upload.
   *
   * @returns its id
   * @throws {OciError} TOOMANYREQUESTS at a limit, UNAVAILABLE on a full disk
   */
  async start({ repository, by }: UploadOwner, algorithm: DigestAlgorithm = 'sha256'): Promise<string> {
    if (this.#isClosed) throw uploadsClosed();
    const owner: UploadOwner = { repository, by };
    if (this.#overLimit(owner) !== undefined) await this.sweep();
    const over = this.#overLimit(owner);
    if (over !== undefined) throw tooManyUploads(over);
    this.#requireRoom(0);
    // Before the first wait: others that start now count it.
    this.#starting.add(owner);
    try {
      const identity = { ...owner, id: randomUUID(), algorithm, createdAt: this.#now() };
      const session = await this.#onDisk(() => UploadSession.begin(this.#store, identity));
      this.#sessions.set(session.id, session);
      await this.#rest(session);
      return session.id;
    } finally {
      this.#starting.delete(owner);
    }
  }

  /**
   * Works on an upload while no other request can.
   *
   * @throws {OciError} BLOB_UPLOAD_UNKNOWN for one that is not there or not the owner's; BLOB_UPLOAD_INVALID with 409 where
   * another request is at work on it
   */
  async hold<Result>(id: string, owner: UploadOwner, work: (upload: HeldUpload) => Promise<Result>): Promise<Result> {
    const session = this.#find(id, owner);
    const { patienceMs, giveWayMs } = this.#limits;
    if (session.silentMs >= giveWayMs) session.interrupt(uploadBusy());
    await session.enter(patienceMs);
    this.#restingOpen.delete(session);
    session.usedAt = this.#now();
    try {
      return await this.#onDisk(() => work(this.#held(session)));
    } finally {
      session.usedAt = this.#now();
      session.leave();
      if (session.isGone) this.#sessions.delete(session.id);
      else await this.#rest(session);
    }
  }

  /** Whether an upload of the owner has lately become a blob with the digest, which the repository still has. */
  async hasFinished(id: string, { repository, by }: UploadOwner, digest: Digest): Promise<boolean> {
    const found = this.#finished.get(id);
    if (found?.by !== by || found.digest !== digest) return false;
    const isSame =
      found.repository.registry === repository.registry && found.repository.repository === repository.repository;
    return isSame && (await this.#options.records.getBlob(repository, digest)) !== undefined;
  }

  /** Ends an upload, and the request that is at work on it. @throws {OciError} as {@link hold} */
  async cancel(id: string, owner: UploadOwner): Promise<void> {
    this.#find(id, owner).interrupt(uploadUnknown());
    await this.hold(id, owner, async () => this.#sessions.get(id)?.discard());
  }

  /**
   * Takes a blob from one body. Nothing of it stays where it fails.
   *
   * @throws {OciError} DIGEST_INVALID and DENIED, as the end of an upload
   */
  async pushWhole(repository: Repository, digest: Digest, body: UploadBody): Promise<HostedBlob> {
    if (this.#isClosed) throw uploadsClosed();
    this.#requireRoom(body.length ?? 0);
    this.#requireQuota(repository, body.length ?? 0);
    return this.#onDisk(async () => {
      const file = await this.#store.begin();
      try {
        const digester = new Digester(digestAlgorithm(digest));
        const { stallMs } = this.#limits;
        const onGrow = this.#boundOf(repository, 0);
        const { size, failure } = await receive(body, { file, digester, size: 0 }, { stallMs, onGrow });
        if (failure !== undefined) throw failure;
        requireDigest(digester.digest(), digest);
        return await this.#commit(file, repository, { digest, size });
      } finally {
        await file.close();
      }
    });
  }

  /**
   * Adds a blob of another hosted repository; undefined where none that may be used has it.
   *
   * @param from a repository that the client may pull, or a question whether it may
   * @throws {OciError} DENIED where the repository would be over its quota
   */
  mount(
    repository: Repository,
    digest: Digest,
    from: Repository | ((candidate: Repository) => boolean),
  ): Promise<HostedBlob | undefined> {
    return this.#onDisk(() => this.#arrivals.mount(repository, digest, from));
  }

  /** Adds a blob of the cache, by a hard link where that can be; undefined where it is not there. @throws {OciError} as {@link mount} */
  take(repository: Repository, digest: Digest): Promise<HostedBlob | undefined> {
    return this.#onDisk(() => this.#arrivals.take(repository, digest));
  }

  /** Removes the uploads that were idle for too long. Never rejects. */
  async sweep(): Promise<void> {
    const { idleMs } = this.#limits;
    for (const session of this.#sessions.values()) {
      if (session.isBusy || this.#now() - session.usedAt < idleMs || this.#isClosed) continue;
      await this.#alone(session, () => session.discard());
    }
  }

  /** Ends the requests that are at work, and closes every file. The uploads stay for the next process. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweeper);
    const closing = [...this.#sessions.values()].map(async (session) => {
      session.interrupt(uploadsClosed());
      await session.enter(CLOSE_WITHIN);
      await session.closeFile();
    });
    // A request that holds on to its file loses it with the end of the process.
    await Promise.allSettled(closing);
    this.#restingOpen.clear();
  }

  get #limits(): Readonly<Record<keyof UploadLimits, number>> {
    const limits = this.#options.limits?.() ?? {};
    return {
      perRepository: limits.perRepository ?? 100,
      perPrincipal: limits.perPrincipal ?? 200,
      idleMs: limits.idleMs ?? 24 * HOUR,
      stallMs: limits.stallMs ?? 60_000,
      patienceMs: limits.patienceMs ?? 1000,
      giveWayMs: limits.giveWayMs ?? 10_000,
    };
  }

  #find(id: string, owner: UploadOwner): UploadSession {
    if (this.#isClosed) throw uploadsClosed();
    const session = this.#sessions.get(id);
    if (session === undefined || !session.belongsTo(owner)) throw uploadUnknown();
    return session;
  }

  #held(session: UploadSession): HeldUpload {
    const { repository } = session.owner;
    return {
      id: session.id,
      get size() {
        return session.size;
      },
      prefer: (algorithm) => session.prefer(algorithm),
      append: async (body, how) => {
        this.#requireRoom(body.length ?? 0);
        this.#requireQuota(repository, session.size + (body.length ?? 0));
        const onGrow = this.#boundOf(repository, session.size);
        await session.append(body, { ...how, stallMs: this.#limits.stallMs, onGrow });
      },
      finish: async (digest) => {
        try {
          const file = await session.verified(digest);
          const blob = await this.#commit(file, repository, { digest, size: session.size });
          this.#finished.set(session.id, { ...session.owner, digest });
          return blob;
        } finally {
          await session.discard();
        }
      },
    };
  }

  async #commit(file: Ingestion, repository: Repository, blob: HostedBlob): Promise<HostedBlob> {
    await this.#arrivals.commit(file, repository, blob);
    this.#isFull = false;
    return blob;
  }

  /** What stops a growing file: the quota of its repository, and the room on the disk. */
  #boundOf(repository: Repository, size: number): (size: number) => void {
    let next = size + LOOK_EVERY;
    return (grown) => {
      this.#requireQuota(repository, grown);
      if (grown < next) return;
      next = grown + LOOK_EVERY;
      this.#requireRoom(LOOK_EVERY);
    };
  }

  /** What is larger than the quota fits into no repository, whatever else is in it. @throws {OciError} DENIED */
  #requireQuota(repository: Repository, size: number): void {
    const quota = this.#arrivals.quotaOf(repository);
    if (quota !== undefined && size > quota) throw overQuota(repository, { quota, size });
  }

  /** @throws {OciError} UNAVAILABLE */
  #requireRoom(bytes: number): void {
    if (this.#options.mayStore?.(bytes) === false) throw this.#full('the space that min_free keeps free is used');
  }

  /** The limit that one upload more would pass; undefined where there is none. */
  #overLimit({ repository, by }: UploadOwner): string | undefined {
    const { perRepository, perPrincipal } = this.#limits;
    let ofRepository = 0;
    let ofPrincipal = 0;
    const count = (other: UploadOwner): void => {
      if (other.by === by) ofPrincipal += 1;
      const { registry, repository: name } = other.repository;
      if (registry === repository.registry && name === repository.repository) ofRepository += 1;
    };
    for (const { owner } of this.#sessions.values()) count(owner);
    this.#starting.forEach(count);
    if (ofRepository >= perRepository) return `${ofRepository} of this repository's`;
    return ofPrincipal >= perPrincipal ? `${ofPrincipal} of your` : undefined;
  }

  /** Keeps the files of the latest uploads open, since their next request comes soon. */
  async #rest(session: UploadSession): Promise<void> {
    if (!session.isOpen || session.isBusy || this.#isClosed) return;
    this.#restingOpen.add(session);
    if (this.#restingOpen.size <= MAX_RESTING_OPEN) return;
    const oldest = [...this.#restingOpen].find((each) => !each.isBusy);
    if (oldest !== undefined) await this.#alone(oldest, () => oldest.closeFile());
  }

  /** Works on an upload that no request is at work on. Never rejects. */
  async #alone(session: UploadSession, work: () => Promise<void>): Promise<void> {
    this.#restingOpen.delete(session);
    try {
      await session.enter(0);
      await work().finally(() => session.leave());
    } catch (error) {
      this.#telemetry.publish('warning', { message: `Cannot put the upload ${session.id} away`, error });
    }
    if (session.isGone) this.#sessions.delete(session.id);
  }

  async #removeUnreadable(name: string): Promise<void> {
    try {
      const found = await this.#store.reopen(name);
      await found?.file.abort();
      await found?.file.close();
      this.#telemetry.publish('warning', { message: `The upload ${name} says not whose it is, and was removed` });
    } catch (error) {
      this.#telemetry.publish('warning', { message: `Cannot remove the upload ${name}`, error });
    }
  }

  /** Runs work; a full disk is an answer of the protocol, and a warning to the operator, once until a blob fits again. */
  async #onDisk<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (!isFullDisk(error)) throw error;
      throw this.#full('the disk refused to take more', error);
    }
  }

  #full(found: string, error?: unknown): Error {
    if (!this.#isFull) {
      const remedy = 'Free some space, or let the collection delete what is no longer needed';
      const message = `Cannot take pushes: ${found}. ${remedy}.`;
      this.#telemetry.publish('warning', error === undefined ? { message } : { message, error });
    }
    this.#isFull = true;
    return noRoom(error);
  }
}

/** Milliseconds that a request gets to let go of its upload when the server stops. */
const CLOSE_WITHIN = 2000;
