import { setTimeout as delay } from 'node:timers/promises';
import { isOriginFailure, type OpenBlobOptions, type OriginBlob } from '../../../oci/index.ts';
import { OriginError } from '../../origin-error.ts';
import { wrongBytes } from '../origin-reader.ts';
import { resumeDelay, shouldResume } from '../policy.ts';

/** What a segment needs of its transfer. */
export interface SegmentEnvironment {
  /** Opens the blob's body at an offset; rejects with an OriginFailure. */
  readonly open: (options: OpenBlobOptions) => Promise<OriginBlob>;
  /** Ends the segment, and its body wherever that was handed over. */
  readonly signal: AbortSignal;
  /** Bytes of the whole blob. */
  readonly size: number;
  /** Writes bytes to their place in the file. @throws {Error} where the disk refuses */
  readonly write: (chunk: Buffer, position: number) => Promise<void>;
  /** Whether another upstream can have it instead: then it is not tried again where this one refuses. @default never */
  readonly isReplaceable?: () => boolean;
  /** Called for each piece that is in the file. */
  readonly came: (segment: Segment, piece: { readonly start: number; readonly end: number }) => void;
  /** A body that begins where it does. @default one is opened */
  readonly body?: OriginBlob | undefined;
}

/** How a segment ended. `stopped`: it was given up. `handed-over`: the front goes on with its body. */
export type SegmentOutcome = 'done' | 'failed' | 'stopped' | 'handed-over';

/**
 * Fetches a part of a blob to its place in the growing file, ahead of the front of the transfer. Nothing of it is verified.
 *
 * A body that breaks off is opened again where it ended, as the front's is.
 */
export class Segment {
  readonly start: number;
  /** Resolves when it uses neither connection nor file any more; never rejects. */
  readonly ended: Promise<SegmentOutcome>;
  readonly #environment: SegmentEnvironment;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  #position: number;
  /** The end of what is being written. */
  #reach: number;
  #end: number;
  #source: OriginBlob | undefined;
  #error: Error | undefined;
  #hasEnded = false;
  #heir: PromiseWithResolvers<OriginBlob | undefined> | undefined;

  /** @param end the first byte behind it */
  constructor(start: number, end: number, environment: SegmentEnvironment) {
    this.start = start;
    this.#position = start;
    this.#reach = start;
    this.#end = end;
    this.#environment = environment;
    this.#source = environment.body;
    this.#signal = AbortSignal.any([environment.signal, this.#abort.signal]);
    this.ended = this.#run();
  }

  /** The next byte it fetches. */
  get position(): number {
    return this.#position;
  }

  /** The first byte behind it. */
  get end(): number {
    return this.#end;
  }

  /** Name of the upstream that its bytes come from; empty until one has answered. */
  get upstream(): string {
    return this.#source?.upstream ?? '';
  }

  /** What it has read from last; undefined before the first answer. */
  get source(): OriginBlob | undefined {
    return this.#source;
  }

  /** Whether it waits for its first byte. */
  get isOpening(): boolean {
    return this.#position === this.start;
  }

  /** Why it failed, or had to ask again last. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** The first byte that it can leave to another. */
  get reach(): number {
    return this.#reach;
  }

  /** Leaves what lies from a position on to another. What is being written stays with it: see {@link end}. */
  shorten(end: number): void {
    this.#end = Math.min(this.#end, Math.max(end, this.#reach));
  }

  /** Whether it was given up; its connection is used until it has ended. */
  get isStopped(): boolean {
    return this.#abort.signal.aborted;
  }

  stop(): void {
    this.#abort.abort(new Error('The segment is not needed any more'));
  }

  /**
   * Gives its body to the front of the transfer, which has reached it, with everything it has written by then.
   *
   * @returns undefined where it has none, as it has ended
   */
  handOver(): Promise<OriginBlob | undefined> {
    if (this.#hasEnded) return Promise.resolve(undefined);
    this.#heir ??= Promise.withResolvers();
    return this.#heir.promise;
  }

  async #run(): Promise<SegmentOutcome> {
    const signal = this.#signal;
    let blob = this.#source;
    let failures = 0;
    let outcome: SegmentOutcome = 'done';
    while (this.#position < this.#end) {
      try {
        blob ??= await this.#open();
        if (this.#heir !== undefined) {
          outcome = 'handed-over';
          break;
        }
        await this.#take(await blob.body.read());
        failures = 0;
      } catch (error) {
        blob?.body.cancel();
        blob = undefined;
        failures += 1;
        if (!signal.aborted) this.#error = error as Error;
        const { kind, retryAfter } = isOriginFailure(error) ? error : { kind: 'unavailable' as const };
        const isOver = signal.aborted || error instanceof DiskError || this.#isRefused(kind);
        if (isOver || this.#heir !== undefined || !shouldResume({ failuresWithoutProgress: failures, kind })) {
          outcome = signal.aborted ? 'stopped' : 'failed';
          break;
        }
        await delay(resumeDelay(failures, retryAfter), undefined, { signal }).catch(() => {});
      }
    }
    if (outcome !== 'handed-over') blob?.body.cancel();
    this.#hasEnded = true;
    this.#heir?.resolve(outcome === 'handed-over' ? blob : undefined);
    return outcome;
  }

  /** Whether the upstream sends nothing, and another may. A body that broke off is opened again. */
  #isRefused(kind: string): boolean {
    const hasBegun = this.#position > this.start && kind !== 'throttled';
    return !hasBegun && this.#environment.isReplaceable?.() === true;
  }

  async #open(): Promise<OriginBlob> {
    const { open, size } = this.#environment;
    const signal = this.#signal;
    const blob = await open({ offset: this.#position, end: this.#end - 1, partOnly: true, size, signal });
    const { upstream } = blob;
    this.#source = blob;
    if (blob.offset === this.#position && (blob.size === undefined || blob.size === size)) return blob;
    blob.body.cancel();
    throw wrongBytes(`Asked ${upstream} for offset ${this.#position} of ${size} bytes and got another part`, upstream);
  }

  async #take(chunk: Buffer | undefined): Promise<void> {
    if (chunk === undefined) {
      const message = `${this.upstream} ended after ${this.#position} of ${this.#end} bytes`;
      throw new OriginError(message, { kind: 'unavailable', upstream: this.upstream });
    }
    const start = this.#position;
    // It may have been shortened during the read. What is behind its end belongs to another.
    const left = this.#end - start;
    if (chunk.length === 0 || left <= 0) return;
    const piece = chunk.length > left ? chunk.subarray(0, left) : chunk;
    const { write, came } = this.#environment;
    this.#reach = start + piece.length;
    try {
      await write(piece, start);
    } catch (error) {
      throw new DiskError(error);
    }
    this.#position = start + piece.length;
    came(this, { start, end: this.#position });
  }
}

/** The disk refused the bytes. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  override readonly cause: Error;

  constructor(cause: unknown) {
    super('The disk refused the bytes of a segment');
    this.cause = cause instanceof Error ? cause : new Error(String(cause));
  }
}
