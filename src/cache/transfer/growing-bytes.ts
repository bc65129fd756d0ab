import type { Ingestion } from '../../store/index.ts';
import { TailBuffer } from './tail-buffer.ts';

const PIECE = 256 * 1024;

/**
 * The bytes of a transfer so far: its last ones in memory, and all of them in a file, where it has one.
 *
 * A transfer that is only passed on has no file at first. Where it gets one later, the file holds what memory still had, and what comes:
 * bytes before {@link start} are gone.
 */
export class GrowingBytes {
  readonly #begin: () => Promise<Ingestion>;
  readonly #passesOn: boolean;
  #tail: TailBuffer;
  #file: Ingestion | undefined;
  /** Position of the first byte that is in the file. */
  #fileStart = 0;
  /** Bytes that have come. */
  #written = 0;

  /** @param begin starts the file */
  constructor(begin: () => Promise<Ingestion>, { passesOn = false }: { readonly passesOn?: boolean } = {}) {
    this.#begin = begin;
    this.#passesOn = passesOn;
    this.#tail = new TailBuffer(passesOn);
  }

  /** Bytes from the start that have come. */
  get written(): number {
    return this.#written;
  }

  get file(): Ingestion | undefined {
    return this.#file;
  }

  /** Position of the first byte that can be read. */
  get start(): number {
    return this.#file === undefined ? this.#tail.start : this.#fileStart;
  }

  /** Whether a chunk can be appended so that the bytes from a position on can still be read. */
  keeps(position: number, chunk: number): boolean {
    return this.#file !== undefined || this.#tail.keeps(position, chunk);
  }

  /** Starts the file, with the bytes that are in memory. Not beside `append`. */
  async begin(): Promise<void> {
    const file = await this.#begin();
    const { start } = this.#tail;
    try {
      const length = this.#written - start;
      // A buffer of its own: what the tail has may lie in two parts.
      const buffer = Buffer.allocUnsafe(Math.min(length, PIECE));
      for (let position = start; position < start + length; ) {
        const count = this.#tail.read(buffer, position);
        await file.write(buffer.subarray(0, count), position);
        position += count;
      }
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
    this.#fileStart = start;
    this.#file = file;
  }

  /** Goes on with a file that has bytes already: they come again by `append`. */
  adopt(file: Ingestion): void {
    this.#file = file;
  }

  /** Forgets what comes after a position, which is in the file. Not beside `append`. */
  rewind(position: number): void {
    this.#written = position;
    this.#tail.release();
    this.#tail = new TailBuffer(this.#passesOn, position);
  }

  /** Writes a chunk behind the others, where there is a file; `append` makes it readable. */
  write(chunk: Buffer): Promise<void> | undefined {
    return this.#file?.write(chunk, this.#written);
  }

  /** Makes a chunk readable that was written. */
  append(chunk: Buffer): void {
    this.#written += chunk.length;
    this.#tail.append(chunk);
  }

  /** Reads from memory what has just come, and from the file otherwise. */
  read(target: Buffer, position: number): Promise<number> {
    const count = this.#tail.read(target, position);
    return count > 0 ? Promise.resolve(count) : this.readFile(target, position);
  }

  /** Reads from the file alone from now on: other bytes were written to it. Nothing is appended any more. */
  forgetTail(): void {
    this.#tail.release();
  }

  readFile(target: Buffer, position: number): Promise<number> {
    if (this.#file === undefined) throw new TypeError('Cannot read bytes of a transfer that are not kept');
    return this.#file.read(target, position);
  }

  /** Forgets all bytes; the next are the first. */
  async reset(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#fileStart = 0;
    this.#written = 0;
    this.#tail.release();
    this.#tail = new TailBuffer(this.#passesOn);
    await file?.abort().catch(() => {});
    await file?.close().catch(() => {});
  }

  /** Removes the file from the disk, unless it was committed. What it holds can be read until `close`. */
  async abort(): Promise<void> {
    await this.#file?.abort().catch(() => {});
  }

  /** Frees memory and descriptor; nothing can be read any more. */
  close(): void {
    const file = this.#file;
    this.#file = undefined;
    this.#tail.release();
    file?.close().catch(() => {});
  }
}
