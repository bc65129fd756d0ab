import { type Digest, Digester, digestAlgorithm } from '../../oci/index.ts';
import { GrowingBytes } from './growing-bytes.ts';
import type { Audience, DownloadEnvironment } from './ingest-types.ts';
import type { Place } from './partial/index.ts';
import { PASSING_ON_WAITS_MS } from './policy.ts';
import type { Segments } from './segments/index.ts';

/** Bytes that are hashed at once of what has come ahead. */
const PIECE = 256 * 1024;

interface FrontOptions extends Pick<DownloadEnvironment, 'begin' | 'keeping'> {
  readonly digest: Digest | undefined;
  readonly passesOn: boolean;
  readonly audience: Audience;
  readonly signal: AbortSignal;
  /** What comes ahead of it; undefined where nothing does. */
  readonly segments: () => Segments | undefined;
  /** Called where the disk refuses bytes, before that is thrown. */
  readonly refused: (error: unknown) => void;
  /** Called where the file has begun. */
  readonly begun: () => void;
}

/** The bytes of a transfer from the start on: hashed in order, and written where they are not in the file already. */
export class Front {
  readonly bytes: GrowingBytes;
  readonly #options: FrontOptions;
  #digester: Digester;
  /** What the digester had seen when the file began late, or could not begin. */
  #before: Place | undefined;
  #reach = 0;

  constructor(options: FrontOptions) {
    const { digest, begin, keeping, passesOn } = options;
    this.#options = options;
    this.#digester = digesterOf(digest);
    this.bytes = new GrowingBytes(keeping === undefined ? begin : () => keeping.begin(), { passesOn });
  }

  /** Bytes from the start that have come, and were hashed. */
  get written(): number {
    return this.bytes.written;
  }

  /** The first byte behind what it is writing. */
  get reach(): number {
    return this.#reach;
  }

  /** It has seen the first {@link written} bytes, unless a chunk is being written. */
  get digester(): Digester {
    return this.#digester;
  }

  /** The first byte that a follower of the whole may not read yet. */
  get readableTo(): number {
    return Math.min(this.written, this.#options.keeping?.readableTo ?? this.written);
  }

  async begin(): Promise<void> {
    const { refused, begun } = this.#options;
    try {
      await this.bytes.begin();
    } catch (error) {
      refused(error);
      throw error;
    }
    begun();
  }

  /** Takes a chunk that comes next. */
  async append(chunk: Buffer): Promise<void> {
    const { audience, refused, segments } = this.#options;
    this.#reach = this.written + chunk.length;
    // Until it is appended, nothing else may happen: another follower may come during any `await`.
    while (!this.#hasRoom(chunk.length)) await this.#makeRoom(chunk.length);
    // The disk works while the processor hashes.
    const writing = this.bytes.write(chunk);
    this.#digester.update(chunk);
    try {
      if (writing !== undefined) await writing;
    } catch (error) {
      refused(error);
      throw error;
    }
    this.bytes.append(chunk);
    segments()?.reached(this.written);
    this.#compare();
    audience.notify();
  }

  /** Hashes what the file holds, up to a position; not to its end where what was kept is not what it was. */
  async hashTo(end: number, segments: Segments): Promise<void> {
    const { audience, keeping, signal, refused } = this.#options;
    const buffer = Buffer.allocUnsafe(Math.min(PIECE, end - this.written));
    while (this.written < end) {
      signal.throwIfAborted();
      const most = Math.min(end, keeping?.next ?? end) - this.written;
      const piece = buffer.subarray(0, Math.min(buffer.length, most));
      let count: number;
      try {
        count = await this.#readBack(piece, this.written, this.#digester);
      } catch (error) {
        refused(error);
        throw error;
      }
      this.bytes.append(piece.subarray(0, count));
      this.#reach = this.written;
      segments.reached(this.written);
      const isRight = this.#compare();
      audience.notify();
      // The rest up to `end` is not what was kept, or was forgotten.
      if (!isRight) return;
    }
  }

  /** One that has seen everything before a position, which is in the file or was seen before that began. */
  async digesterAt(position: number, digest: Digest, signal: AbortSignal): Promise<Digester> {
    const before = this.#before !== undefined && this.#before.position <= position ? this.#before : undefined;
    const digester = before?.digester.copy() ?? digesterOf(digest);
    const buffer = Buffer.allocUnsafe(PIECE);
    for (let hashed = before?.position ?? 0; hashed < position; ) {
      const piece = buffer.subarray(0, Math.min(buffer.length, position - hashed));
      hashed += await this.#readBack(piece, hashed, digester);
      signal.throwIfAborted();
    }
    return digester;
  }

  /** Goes back to a place, and forgets what lies ahead of it up to `end`. */
  goBack({ position, digester }: Place, end?: number): void {
    this.#digester = digester;
    this.bytes.rewind(position);
    this.#reach = position;
    this.#options.segments()?.forget(position, end);
  }

  /** Forgets all bytes. */
  async reset(): Promise<void> {
    this.#digester = digesterOf(this.#options.digest);
    this.#before = undefined;
    this.#reach = 0;
    await this.bytes.reset();
  }

  /** Looks whether what was kept is what it was. False where the front has gone back, or what lies ahead of it was forgotten. */
  #compare(): boolean {
    const { keeping, segments } = this.#options;
    const found = keeping?.came(this.written, this.#digester) ?? 'right';
    if (found === 'right') return true;
    if (found !== 'wrong') this.goBack(found, found.end);
    else segments()?.forget(this.written);
    return false;
  }

  /** Hashes bytes of the file. @returns how many */
  async #readBack(target: Buffer, position: number, digester: Digester): Promise<number> {
    const count = await this.bytes.readFile(target, position);
    if (count === 0) throw new Error('Cannot read the growing file as it is shorter than what was written to it');
    digester.update(target.subarray(0, count));
    return count;
  }

  /** Whether a chunk can be appended: to the file, or, where there is none, to memory that holds all that the one follower lacks. */
  #hasRoom(chunk: number): boolean {
    if (this.bytes.file !== undefined) return true;
    const { position } = this.#options.audience;
    return position !== undefined && this.bytes.keeps(position, chunk);
  }

  /** Waits a moment for the one follower to make room for a chunk; begins the file where it does not, and where it is not the only one. */
  async #makeRoom(chunk: number): Promise<void> {
    const { audience, signal } = this.#options;
    const deadline = performance.now() + PASSING_ON_WAITS_MS;
    const canHelp = this.bytes.keeps(this.written, chunk);
    for (
      let left = canHelp ? PASSING_ON_WAITS_MS : 0;
      left > 0 && audience.position !== undefined;
      left = deadline - performance.now()
    ) {
      await audience.moved(left);
      if (this.#hasRoom(chunk)) return;
    }
    signal.throwIfAborted();
    this.#before = { position: this.written, digester: this.#digester.copy() };
    await this.begin();
  }
}

/** One that has seen nothing. */
export function digesterOf(digest: Digest | undefined): Digester {
  return new Digester(digest === undefined ? 'sha256' : digestAlgorithm(digest));
}
