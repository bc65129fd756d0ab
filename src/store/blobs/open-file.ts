import { close, fdatasync, fstat, ftruncate, read, type Stats, write } from 'node:fs';
import { crashPoint } from '../../lib/index.ts';
import type { DirectFile } from './blob-store.ts';
import { kernelCalls } from './kernel.ts';

/**
 * One open descriptor, read and written at explicit positions.
 *
 * Built on the callback API and not on `FileHandle`, whose `read` and `write` allocate a result object and several promises
 * per call: the body of every layer passes through here.
 *
 * `close` waits for pending operations. The system reuses a descriptor's number at once, so a read that outlived its file
 * would return bytes of another.
 */
export class OpenFile implements DirectFile {
  readonly #descriptor: number;
  #pending = 0;
  #closed = false;
  #whenIdle: (() => void) | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Reads at most `target.length` bytes; 0 at the end of the file. */
  read(target: Buffer, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError('read'));
      read(this.#descriptor, target, 0, target.length, position, (error, bytes) => {
        this.#settled();
        if (error === null) resolve(bytes);
        else reject(error);
      });
      // After the call: it throws for an invalid argument, and then no callback would decrement the count.
      this.#pending += 1;
    });
  }

  sendTo(socket: number, position: number, count: number): number {
    return this.#closed ? 0 : (kernelCalls()?.send(socket, this.#descriptor, position, count) ?? 0);
  }

  readNow(target: Buffer, position: number): number {
    return this.#closed ? 0 : (kernelCalls()?.read(this.#descriptor, target, position) ?? 0);
  }

  /** Writes the whole chunk: write(2) may write only a part of it, near a full disk or a limit. */
  write(chunk: Buffer, position: number): Promise<void> {
    const descriptor = this.#descriptor;
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError('write'));
      let done = 0;
      const onWritten = (error: NodeJS.ErrnoException | null, bytes: number): void => {
        done += bytes;
        const stuck = error === null && bytes === 0 && done < chunk.length;
        if (error === null && !stuck && done < chunk.length) {
          write(descriptor, chunk, done, chunk.length - done, position + done, onWritten);
          return;
        }
        this.#settled();
        if (error !== null) return reject(error);
        if (stuck) return reject(new Error(`Cannot write at byte ${position + done} as the disk accepted no bytes`));
        crashPoint('ingest.written');
        resolve();
      };
      write(descriptor, chunk, 0, chunk.length, position, onWritten);
      this.#pending += 1;
    });
  }

  /** Flushes the data and the length to the disk. */
  flush(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError('flush'));
      fdatasync(this.#descriptor, (error) => {
        this.#settled();
        if (error === null) resolve();
        else reject(error);
      });
      this.#pending += 1;
    });
  }

  /** Cuts the file to a size in bytes. */
  truncate(size: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError('cut'));
      ftruncate(this.#descriptor, size, (error) => {
        this.#settled();
        if (error === null) resolve();
        else reject(error);
      });
      this.#pending += 1;
    });
  }

  stat(): Promise<Stats> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(closedError('stat'));
      fstat(this.#descriptor, (error, stats) => {
        this.#settled();
        if (error === null) resolve(stats);
        else reject(error);
      });
      this.#pending += 1;
    });
  }

  /** Idempotent. Later operations reject. */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    return new Promise((resolve, reject) => {
      const finish = () =>
        close(this.#descriptor, (error) => {
          if (error === null || error === undefined) resolve();
          else reject(error);
        });
      if (this.#pending === 0) finish();
      else this.#whenIdle = finish;
    });
  }

  #settled(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#whenIdle?.();
  }
}

function closedError(operation: string): Error {
  return new Error(`Cannot ${operation} a file that has been closed`);
}
