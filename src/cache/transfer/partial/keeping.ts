import type { Digest, Digester } from '../../../oci/index.ts';
import type { PartialIngestion } from '../../../store/index.ts';
import { OriginError } from '../../origin-error.ts';
import { type Extent, Extents } from '../segments/index.ts';
import { type CheckpointFinding, Checkpoints, type Place } from './checkpoints.ts';
import type { PartialContent } from './content.ts';
import { formatPartialNote, parsePartialNote } from './note.ts';

/**
 * Bytes that must have come for a file to be kept: what is less is fetched again in the time that a client waits anyway.
 */
export const LEAST_KEPT = 8 * 1024 * 1024;

/** How often it is looked whether there is something to note. Milliseconds. */
const LOOK_EVERY_MS = 50;
/** After so long a note is written, however little has come. Milliseconds. */
const NOTE_EVERY_MS = 2000;
/** How often a note survives a power cut too. Milliseconds. */
const FLUSH_EVERY_MS = 10_000;
/** Bytes between two notes at least, and as a share of the blob: so much a kill costs. */
const LEAST_STEP = 256 * 1024;
const STEP_SHARE = 1 / 128;

/** Bytes of a span that is worth a request to get past it; the front fetches what is shorter again. */
const LEAST_SKIPPED = 32 * 1024;

/** A transfer, as far as it is noted. */
export interface NotedTransfer {
  readonly size: number | undefined;
  /** Bytes from the start that have come, and were hashed. */
  readonly written: number;
  /** What lies ahead of these. */
  readonly extents: Iterable<Extent>;
  /** Bytes that have come, wherever they lie. */
  readonly received: number;
}

/** What was kept of a blob. */
export interface KeptContent {
  readonly file: PartialIngestion;
  /** Bytes of the whole blob. */
  readonly size: number;
  readonly extents: readonly Extent[];
  /** The first byte that is missing, and the first behind it that is not. */
  readonly at: number;
  readonly end: number;
  readonly bytes: number;
}

/** What was kept turns out wrong at the end, where it cannot be replaced any more. No upstream is to blame. */
export class PartialContentError extends OriginError {
  constructor(digest: Digest, upstream: string) {
    super(`What was kept of ${digest} is damaged, and is fetched again at the next request`, {
      kind: 'unavailable',
      upstream,
    });
  }
}

/**
 * The growing file of one transfer, as it is kept for the next one.
 *
 * What is trusted of a kept file, and why:
 * - The bytes from the start were hashed when they came. They are hashed again anyway, as a digester cannot be stored, and are compared
 *   at the checkpoints of the note before a client gets them: a byte that rots, or that a power cut takes, is fetched again.
 * - What lies ahead of these was never hashed. It is used where the kernel has run ever since it was written, or where it was flushed
 *   before the note ({@link ReopenedPartial.isIntact}): then it is what the upstream sent, as far as the disk keeps its word.
 * - The last byte is never used: an upstream has to be asked for it, so that it answers for the blob, here and now.
 * - The digest of the whole decides. Where it is wrong, what was kept is dropped, and no upstream is blamed.
 */
export class Keeping {
  readonly #content: PartialContent;
  readonly #digest: Digest;
  #file: PartialIngestion | undefined;
  #checkpoints: Checkpoints | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Bytes that the last note speaks of, and when it was written. */
  #noted = 0;
  #notedAt = 0;
  #flushedAt = 0;
  #isNoting = false;
  /** Bytes that an earlier transfer had fetched. */
  #kept = 0;
  #isEnded = false;
  #hasGoneBack = false;

  constructor(content: PartialContent, digest: Digest) {
    this.#content = content;
    this.#digest = digest;
  }

  /** Bytes that an earlier transfer had fetched, where it goes on with them. */
  get kept(): number {
    return this.#kept;
  }

  /** The first byte from the start that no client may have yet. */
  get readableTo(): number {
    return this.#checkpoints?.readableTo ?? Number.POSITIVE_INFINITY;
  }

  /** Whether a byte was kept, and is compared with its note when the front gets there. */
  isCompared(position: number): boolean {
    return position < (this.#checkpoints?.comparedTo ?? 0);
  }

  /** Starts a file. */
  async begin(): Promise<PartialIngestion> {
    this.#forget();
    this.#file = await this.#content.begin(this.#digest);
    return this.#file;
  }

  /**
   * Opens what was kept; undefined where there is nothing of use, which is then removed.
   *
   * @param expected bytes of the blob by its manifest
   */
  async reopen(expected: number | undefined, digester: Digester): Promise<KeptContent | undefined> {
    const found = await this.#content.reopen(this.#digest);
    if (found === undefined) return undefined;
    const { file } = found;
    const note = parsePartialNote(found.note);
    if (note === undefined || note.size !== (expected ?? note.size)) {
      await this.#drop(file);
      return undefined;
    }
    const extents = new Extents();
    const most = Math.min(found.size, note.size - 1);
    for (const { start, end } of note.extents) extents.add(start, Math.min(end, most));
    const checkpoints = note.checkpoints.filter(({ position }) => position <= extents.coveredTo(0));
    // Of what lies behind the last checkpoint nothing tells whether a power cut has taken it.
    if (!found.isIntact) extents.dropFrom(checkpoints.at(-1)?.position ?? 0);
    if (extents.bytes < LEAST_KEPT) {
      await this.#drop(file);
      return undefined;
    }
    this.#file = file;
    this.#kept = extents.bytes;
    this.#noted = extents.bytes;
    this.#notedAt = performance.now();
    this.#checkpoints = new Checkpoints(note.size, checkpoints, digester);
    const at = extents.coveredTo(0);
    const end = extents.nextStart(at, LEAST_SKIPPED) ?? note.size;
    return { file, size: note.size, extents: [...extents], at, end, bytes: extents.bytes };
  }

  /** Removes what {@link reopen} gave: the blob is another one. */
  async drop(): Promise<void> {
    const file = this.#file;
    this.#forget();
    if (file !== undefined) await this.#drop(file);
  }

  /** Leaves what {@link reopen} gave as it was. */
  async giveBack(): Promise<void> {
    const file = this.#file;
    const bytes = this.#kept;
    this.#forget();
    file?.leave();
    await file?.close().catch(() => {});
    await this.#content.left(this.#digest, bytes);
  }

  /** Notes what comes from now on, until {@link stop}. @param digester that has seen nothing, or what was reopened */
  watch(transfer: NotedTransfer, digester: Digester): void {
    const { size } = transfer;
    if (this.#timer !== undefined || size === undefined || size <= LEAST_KEPT || this.#file === undefined) return;
    this.#checkpoints ??= new Checkpoints(size, [], digester);
    this.#flushedAt = performance.now();
    this.#timer = setInterval(() => this.#look(transfer, size), LOOK_EVERY_MS).unref();
  }

  /** Where the front has to stop and look; see {@link came}. */
  get next(): number {
    return this.#checkpoints?.next ?? Number.POSITIVE_INFINITY;
  }

  /** Called when the front has come to a position. */
  came(position: number, digester: Digester): CheckpointFinding {
    return position < this.next ? 'right' : (this.#checkpoints?.reached(position, digester) ?? 'right');
  }

  /**
   * Where the front goes on from, as the whole has the wrong digest and what was kept may be why. Undefined where none of it was kept.
   *
   * @param seen bytes from the start that clients may have had
   * @throws {PartialContentError} where a client has had what may be wrong
   */
  wrong(seen: number, { fresh, upstream }: { readonly fresh: Digester; readonly upstream: string }): Place | undefined {
    const checkpoints = this.#checkpoints;
    if (this.#kept === 0 || checkpoints === undefined) return undefined;
    const { trusted } = checkpoints;
    checkpoints.forget(seen === 0 ? 0 : trusted.position);
    if (seen === 0) {
      this.#kept = 0;
      return { position: 0, digester: fresh };
    }
    // What lies before a checkpoint is what it was when it came: the rest may have rotted, and that clients have not had.
    if (seen > trusted.position || this.#hasGoneBack) throw new PartialContentError(this.#digest, upstream);
    this.#hasGoneBack = true;
    return trusted;
  }

  /** Ends the notes. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#isEnded = true;
  }

  /**
   * Leaves the file of a transfer that has ended early to the next one. False where it is not worth it, or the disk refuses.
   *
   * @param transfer of which the digester has seen the bytes from the start
   */
  async leave(transfer: NotedTransfer, digester: Digester): Promise<boolean> {
    this.stop();
    const { size, received } = transfer;
    const file = this.#file;
    if (file === undefined || size === undefined || received < LEAST_KEPT) return false;
    if (!this.#content.mayKeep(received)) return false;
    this.#checkpoints?.end(transfer.written, digester);
    const text = this.#text(transfer, size);
    let isNoted = this.#noted > 0;
    try {
      await file.note(text, { flush: 'note' });
      isNoted = true;
    } catch (error) {
      // An earlier note holds: the file only grows.
      if (!isNoted) return false;
      this.#content.refused(this.#digest, error);
    }
    file.leave();
    await this.#content.left(this.#digest, received);
    return true;
  }

  #look(transfer: NotedTransfer, size: number): void {
    const { received } = transfer;
    const file = this.#file;
    if (file === undefined || this.#isNoting || this.#isEnded || received < LEAST_KEPT || received <= this.#noted)
      return;
    const now = performance.now();
    const step = Math.max(LEAST_STEP, size * STEP_SHARE);
    if (received - this.#noted < step && now - this.#notedAt < NOTE_EVERY_MS) return;
    if (!this.#content.mayKeep(received)) return;
    void this.#note(file, { text: this.#text(transfer, size), received });
  }

  /** Never rejects: another look tries again, and of a full disk the bytes tell. */
  async #note(
    file: PartialIngestion,
    { text, received }: { readonly text: string; readonly received: number },
  ): Promise<void> {
    const isFlushed = performance.now() - this.#flushedAt >= FLUSH_EVERY_MS;
    this.#isNoting = true;
    try {
      await file.note(text, { flush: isFlushed ? 'note' : 'nothing' });
      this.#noted = received;
      if (isFlushed) this.#flushedAt = performance.now();
    } catch {
      // See above.
    } finally {
      this.#notedAt = performance.now();
      this.#isNoting = false;
    }
  }

  #text({ written, extents }: NotedTransfer, size: number): string {
    const all = new Extents();
    all.add(0, written);
    for (const { start, end } of extents) all.add(start, end);
    // Of the front's there may be none left where it went back.
    const covered = all.coveredTo(0);
    const checkpoints = (this.#checkpoints?.all ?? []).filter(({ position }) => position <= covered);
    return formatPartialNote({ size, extents: [...all], checkpoints });
  }

  async #drop(file: PartialIngestion): Promise<void> {
    await file.abort().catch(() => {});
    await file.close().catch(() => {});
  }

  #forget(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#file = undefined;
    this.#checkpoints = undefined;
    this.#kept = 0;
    this.#noted = 0;
  }
}
