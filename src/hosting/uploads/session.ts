import { type Digest, type DigestAlgorithm, Digester, digestAlgorithm, type Repository } from '../../oci/index.ts';
import type { NamedIngestion, ResumableBlobStore, ResumableIngestion } from '../../store/index.ts';
import { uploadBusy, uploadUnknown, wrongSize } from './errors.ts';
import { hashFile, type Received, receive, requireDigest, type UploadBody } from './receive.ts';

// One upload: a named file that grows over several requests, and over several processes.
//
//            begin                    append                     finish
//   (none) ────────▶ resting ─────────────────▶ resting … ───────────────▶ published
//                     │  ▲ └─ file closed, hash kept │
//                     │  └── process ended, no hash ─┘
//                     └──────── discard: DELETE, idle too long, wrong digest ───▶ gone
//
// Invariants
//  1. `size` bytes at the start of the file are the client's, in order. What lies behind them is cut before the next write.
//  2. The digester, where there is one, has seen exactly those. Where there is none, the file is read again before the next byte.
//  3. One request at a time: `enter` before anything else.
//  4. The file is open once, or not at all.

/** Whose upload it is: no other client sees it. */
export interface UploadOwner {
  readonly repository: Repository;
  /** The name of the principal. */
  readonly by: string;
}

/** What is known of a session; its file keeps it as a note. */
interface SessionIdentity extends UploadOwner {
  readonly id: string;
  readonly algorithm: DigestAlgorithm;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

export interface AppendOptions {
  /** True: of a body that does not come to its end, no byte stays. @default what arrived stays */
  readonly isWhole?: boolean | undefined;
  /** The size that the upload must have afterwards; then it is as with `isWhole`. @default any */
  readonly end?: number | undefined;
  readonly stallMs: number;
  readonly onGrow: (size: number) => void;
}

export class UploadSession {
  readonly id: string;
  readonly owner: UploadOwner;
  readonly createdAt: number;
  /** When its last request began or ended; milliseconds since 1970. */
  usedAt: number;
  readonly #store: ResumableBlobStore;
  #algorithm: DigestAlgorithm;
  #size: number;
  #digester: Digester | undefined;
  #file: ResumableIngestion | undefined;
  #isGone = false;
  /** Resolves when the request that has entered leaves. */
  #left: PromiseWithResolvers<void> | undefined;
  #body: UploadBody | undefined;
  /** When the body began or its last chunk came. */
  #heardAt = 0;
  #interruption: Error | undefined;

  private constructor(
    store: ResumableBlobStore,
    { id, repository, by, algorithm, createdAt }: SessionIdentity,
    found: Pick<NamedIngestion, 'size' | 'modifiedAt'>,
  ) {
    this.#store = store;
    this.id = id;
    this.owner = { repository, by };
    this.createdAt = createdAt;
    this.usedAt = found.modifiedAt;
    this.#algorithm = algorithm;
    this.#size = found.size;
  }

  /** Starts an upload, with its file. */
  static async begin(store: ResumableBlobStore, identity: SessionIdentity): Promise<UploadSession> {
    const session = new UploadSession(store, identity, { size: 0, modifiedAt: identity.createdAt });
    session.#file = await store.beginNamed(identity.id, noteOf(identity));
    session.#digester = new Digester(identity.algorithm);
    return session;
  }

  /** Finds an upload of an earlier process again; undefined where its note is none of ours. */
  static restore(store: ResumableBlobStore, found: NamedIngestion): UploadSession | undefined {
    const identity = identityOf(found);
    return identity && new UploadSession(store, identity, found);
  }

  /** Bytes that are there. */
  get size(): number {
    return this.#size;
  }

  get isBusy(): boolean {
    return this.#left !== undefined;
  }

  /** Milliseconds that the body which is being read has brought nothing; 0 where none is. */
  get silentMs(): number {
    return this.#body === undefined ? 0 : performance.now() - this.#heardAt;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  get isOpen(): boolean {
    return this.#file !== undefined;
  }

  belongsTo({ repository, by }: UploadOwner): boolean {
    const own = this.owner;
    return (
      own.by === by &&
      own.repository.registry === repository.registry &&
      own.repository.repository === repository.repository
    );
  }

  /**
   * Waits until no other request works on the upload. The connection of an earlier one may be lost without its end being noticed yet, so
   * the wait is short, and not none.
   *
   * @throws {OciError} BLOB_UPLOAD_INVALID with 409 after `patienceMs`; BLOB_UPLOAD_UNKNOWN where the upload has ended meanwhile
   */
  async enter(patienceMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(() => late.reject(uploadBusy()), patienceMs);
    try {
      while (this.#left !== undefined) await Promise.race([this.#left.promise, late.promise]);
    } finally {
      clearTimeout(timer);
      late.promise.catch(() => {});
    }
    if (this.#isGone) throw uploadUnknown();
    this.#left = Promise.withResolvers();
  }

  leave(): void {
    const left = this.#left;
    this.#left = undefined;
    left?.resolve();
  }

  /** Ends the body that is being read, if one is: its request fails with the reason. */
  interrupt(reason: Error): void {
    if (this.#body === undefined) return;
    this.#interruption = reason;
    this.#body.source.cancel(reason);
  }

  /** Hashes with the algorithm from the start, where no byte has come yet. */
  prefer(algorithm: DigestAlgorithm): void {
    if (this.#size > 0 || algorithm === this.#algorithm) return;
    this.#algorithm = algorithm;
    this.#digester = undefined;
  }

  /**
   * Adds a body to what is there. Rejects as the body or the disk does; the upload can go on at {@link size} then.
   *
   * @throws {OciError} SIZE_INVALID where the body does not end at `end`
   */
  async append(body: UploadBody, { isWhole = false, end, stallMs, onGrow }: AppendOptions): Promise<void> {
    const start = this.#size;
    const { file, digester } = await this.#ready();
    const before = isWhole || end !== undefined ? digester.copy() : undefined;
    const received = await this.#receive(
      body,
      { file, digester, size: start },
      (size) => {
        if (end !== undefined && size > end) throw wrongSize(end, size);
        onGrow(size);
      },
      stallMs,
    );
    const isShort = end !== undefined && received.size < end;
    const failure = this.#interruption ?? received.failure ?? (isShort ? wrongSize(end, received.size) : undefined);
    this.#interruption = undefined;
    if (failure === undefined) {
      this.#size = received.size;
      return;
    }
    // A single byte looks like none (`Range: 0-0`), and the client that asks could not know.
    const isNone = before !== undefined || (start === 0 && received.size === 1);
    this.#size = isNone ? start : received.size;
    this.#digester = before ?? (received.isHashed && !isNone ? digester : undefined);
    await this.#cut();
    throw failure;
  }

  /**
   * The file, once its bytes have the digest. The caller commits it; in any case it calls {@link discard} afterwards.
   *
   * @throws {OciError} DIGEST_INVALID where they have another
   */
  async verified(digest: Digest): Promise<ResumableIngestion> {
    const algorithm = digestAlgorithm(digest);
    // Hashed with the other algorithm: the client did not say which one it would want.
    if (algorithm !== this.#algorithm) this.#digester = undefined;
    this.#algorithm = algorithm;
    const { file, digester } = await this.#ready();
    this.#digester = undefined;
    requireDigest(digester.digest(), digest);
    return file;
  }

  /**
   * Ends the upload, and removes its file unless it was committed. Never rejects: what the disk does not let go is found again by the
   * next process, and expires.
   */
  async discard(): Promise<void> {
    this.#isGone = true;
    this.#digester = undefined;
    try {
      const file = this.#file ?? (await this.#store.reopen(this.id))?.file;
      this.#file = undefined;
      try {
        await file?.abort();
      } finally {
        await file?.close();
      }
    } catch {}
  }

  /** Gives the descriptor back; the bytes and the hash stay. */
  async closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #receive(
    body: UploadBody,
    target: { readonly file: ResumableIngestion; readonly digester: Digester; readonly size: number },
    onGrow: (size: number) => void,
    stallMs: number,
  ): Promise<Received> {
    this.#body = body;
    this.#heardAt = performance.now();
    const onChunk = (size: number): void => {
      this.#heardAt = performance.now();
      onGrow(size);
    };
    try {
      return await receive(body, target, { stallMs, onGrow: onChunk });
    } finally {
      this.#body = undefined;
    }
  }

  /** Cuts what lies behind the size; at the next opening, where the disk refuses that now. */
  async #cut(): Promise<void> {
    try {
      await this.#file?.truncate(this.#size);
    } catch {
      await this.closeFile();
    }
  }

  /** @throws {OciError} BLOB_UPLOAD_UNKNOWN where the file is lost */
  async #ready(): Promise<{ readonly file: ResumableIngestion; readonly digester: Digester }> {
    this.#file ??= await this.#reopen();
    this.#digester ??= await hashFile(this.#file, this.#size, this.#algorithm);
    return { file: this.#file, digester: this.#digester };
  }

  async #reopen(): Promise<ResumableIngestion> {
    const found = await this.#store.reopen(this.id);
    // Shorter than what was acknowledged: a power cut, or another program. The client starts again.
    if (found === undefined || found.size < this.#size) {
      this.#file = found?.file;
      await this.discard();
      throw uploadUnknown();
    }
    const { file, size } = found;
    try {
      if (size > this.#size) await file.truncate(this.#size);
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
    return file;
  }
}

function noteOf({ repository: { registry, repository }, by, algorithm, createdAt }: SessionIdentity): string {
  return JSON.stringify({ registry, repository, by, algorithm, createdAt });
}

function identityOf({ name, note }: NamedIngestion): SessionIdentity | undefined {
  let found: unknown;
  try {
    found = JSON.parse(note);
  } catch {
    return undefined;
  }
  if (typeof found !== 'object' || found === null) return undefined;
  const { registry, repository, by, algorithm, createdAt } = found as Readonly<Record<string, unknown>>;
  if (typeof registry !== 'string' || typeof repository !== 'string' || typeof by !== 'string') return undefined;
  if (algorithm !== 'sha256' && algorithm !== 'sha512') return undefined;
  if (typeof createdAt !== 'number') return undefined;
  return { id: name, repository: { registry, repository }, by, algorithm, createdAt };
}
