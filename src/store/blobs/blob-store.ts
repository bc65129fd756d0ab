import type { Digest } from '../../oci/index.ts';
import { NAMED_NAME } from './layout.ts';

/**
 * Verified blobs under their digests. The life of a blob: begin → write → commit | abort. A blob is visible to `open` only
 * after `commit`. The store never hashes: the caller verifies the bytes before it commits.
 */
export interface BlobStore {
  /** Starts a growing file, which is not visible in the store yet. */
  begin(): Promise<Ingestion>;
  /**
   * Opens a stored blob; undefined where it is not stored.
   *
   * Never follows a symbolic link, and never opens anything but a regular file.
   */
  open(digest: Digest): Promise<StoredBlob | undefined>;
  /** Size in bytes; undefined where it is not stored. */
  stat(digest: Digest): Promise<number | undefined>;
  /** Deletes a blob; true where it was stored. Readers that have it open can still read it. */
  delete(digest: Digest): Promise<boolean>;
  /**
   * Moves a corrupt blob out of the store, and keeps its bytes for inspection. Whatever else lies in its place is another
   * program's: it is moved aside and kept for good.
   */
  quarantine(digest: Digest): Promise<void>;
  /** Every stored digest with its size in bytes, in no order. */
  list(): AsyncIterable<{ readonly digest: Digest; readonly size: number }>;
  /**
   * Every stored digest in ascending order, some hundreds or thousands at a time. Much cheaper than `list`, since it reads
   * only directories. A blob stored or deleted meanwhile may or may not be listed.
   */
  listDigests(): AsyncIterable<readonly Digest[]>;
  /** What other programs have put into the directory. It is only ever reported. */
  unknownFiles(): Promise<UnknownFiles>;
  /** Growing files that a later transfer goes on with; undefined where the store keeps none. */
  readonly partials?: PartialStore | undefined;
}

/** Files, and directories as one each, that are none of the store's. */
export interface UnknownFiles {
  readonly count: number;
  /** The paths of the first few, below the directory. */
  readonly names: readonly string[];
}

/** A file being written. It has one writer, and any number of readers of the bytes already written. */
export interface Ingestion {
  /** Writes the whole chunk at the position. The caller may reuse the buffer when the promise resolves. */
  write(chunk: Buffer, position: number): Promise<void>;
  /** Reads bytes already written; returns their number, which may be less than `target.length`. */
  read(target: Buffer, position: number): Promise<number>;
  /**
   * Publishes the file under the digest: data flushed, renamed into place, directory flushed. The bytes must be verified. A
   * file already stored under the digest is replaced, since it may be damaged; its open readers can still read it. This file
   * stays readable until `close`.
   */
  commit(digest: Digest): Promise<void>;
  /** After the commit, the mark of the published file; see {@link StoredBlob.mark}. */
  readonly mark?: string | undefined;
  /** Removes the file from the disk unless it was committed. It stays readable until `close`. */
  abort(): Promise<void>;
  /** Closes the descriptor. To be called once, after the last read. */
  close(): Promise<void>;
}

/**
 * Partial content: growing files that a later transfer of the same digest, in this process or the next one, goes on with. There is one
 * of a digest at most.
 *
 * A file begins like each growing file, and a kill then leaves nothing of it. It is kept from its first note on.
 */
export interface PartialStore {
  /** Starts a growing file of a digest. */
  begin(digest: Digest): Promise<PartialIngestion>;
  /** Opens the kept file of a digest; undefined where there is none, or a transfer has it. */
  reopen(digest: Digest): Promise<ReopenedPartial | undefined>;
  /** Every kept file, in no order. What a killed process left of others is removed. */
  list(): Promise<readonly KeptPartial[]>;
  /** Deletes the kept file of a digest; false where there is none, or a transfer has it. */
  remove(digest: Digest): Promise<boolean>;
}

/** What of a kept file is flushed to the disk. */
export type PartialFlush = 'nothing' | 'note' | 'all';

/** A growing file that can be kept. */
export interface PartialIngestion extends Ingestion {
  /**
   * Writes down what the file holds, in place of what was written down before. `close` then leaves the file where it is; `commit` and
   * `abort` remove it and the note. Rejects where another file of the digest is kept, and where the disk refuses: then the note before it
   * holds.
   *
   * @param text the caller's, at most {@link MAX_PARTIAL_NOTE_BYTES} in UTF-8
   * @param options `flush`: what a power cut leaves. `note`: the note, once the promise resolves; `all`: the bytes too, which are flushed
   * before it. @default 'nothing'
   */
  note(text: string, options?: { readonly flush?: PartialFlush }): Promise<void>;
  /** Leaves the file to the next transfer. Of this one it can still be read, and `commit` rejects. */
  leave(): void;
}

export interface ReopenedPartial {
  readonly file: PartialIngestion;
  /** Bytes from the start up to the last one that was written, with gaps between. */
  readonly size: number;
  readonly note: string;
  /**
   * Whether all that was written before the note is there: the kernel has run ever since, or the bytes were flushed. Otherwise a power
   * cut may have taken any of them.
   */
  readonly isIntact: boolean;
}

/** A kept file that no transfer has. */
export interface KeptPartial {
  readonly digest: Digest;
  /** Bytes that it takes of the disk. */
  readonly bytes: number;
  /** When it was written to last; milliseconds since 1970. */
  readonly modifiedAt: number;
}

/** Bytes of a note of partial content. */
export const MAX_PARTIAL_NOTE_BYTES = 64 * 1024;

/** A blob opened for reading. */
export interface StoredBlob {
  readonly size: number;
  /**
   * Identifies this file in its current state: it differs for every other file, and after a write to this one. Undefined
   * where the store has no such mark. It does not detect bit rot.
   */
  readonly mark?: string | undefined;
  /** Set where the kernel can send the bytes without a read. Not to be used after `close`. */
  readonly direct?: DirectFile | undefined;
  read(target: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

/** Operations on a file that never wait, neither for the disk nor for a socket. */
export interface DirectFile {
  /**
   * Has the kernel copy bytes to a socket.
   *
   * @param socket descriptor of a socket with nothing queued to send
   * @param count more than 0
   * @returns bytes the socket took, perhaps fewer than `count`; 0 where it would have to wait
   */
  sendTo(socket: number, position: number, count: number): number;
  /** Reads bytes from the page cache; 0 where they are not in it. */
  readNow(target: Buffer, position: number): number;
}

/** What blobs are taken from. */
export type BlobSource = Pick<BlobStore, 'open' | 'stat'>;

/**
 * A blob store whose growing files can survive the process: uploads.
 *
 * A named file is one of a session that several requests, and several processes after each other, go on with. What was written
 * is there for the next process; after a power cut its end may be missing, since only a commit flushes.
 */
export interface ResumableBlobStore extends BlobStore {
  /**
   * Starts a growing file that a later process can open again. `close` without commit or abort leaves it where it is, unless a
   * commit failed: then its bytes may be lost, and it is removed.
   *
   * @param name 1 to 64 of `a-z`, `0-9` and `-`; of no other named file
   * @param note the caller's, at most {@link MAX_NOTE_BYTES} in UTF-8. It is on the disk when the promise resolves.
   * @throws {RangeError} for another name or a longer note
   */
  beginNamed(name: string, note: string): Promise<ResumableIngestion>;
  /**
   * Opens a named file again; undefined where there is none of that name, whatever the name. It can be open once at a time:
   * rejects where it is open.
   */
  reopen(name: string): Promise<ReopenedIngestion | undefined>;
  /** Every named file, in no order. */
  listNamed(): Promise<readonly NamedIngestion[]>;
  /**
   * Makes a blob of another store one of this store, and gives its size; undefined where the other store does not have it.
   *
   * A hard link where both are directories of one file system, which costs no byte of the disk: then the bytes are as right as
   * they are there, and the caller verifies them. Else a copy, which is hashed before it is published: a corrupt blob is not
   * taken, and the answer is undefined. What this store has already, with as many bytes, stays as it is.
   */
  takeFrom(source: BlobSource, digest: Digest): Promise<number | undefined>;
}

/** A store whose blobs can have a second name elsewhere on its file system. */
export interface LinkableBlobStore extends ResumableBlobStore {
  /**
   * Makes a path a name of the file of a blob, by a hard link: it costs no byte, and the bytes stay when the blob is deleted. A file
   * that has the name is replaced, in one step, where it is another one. The caller flushes the directory.
   *
   * @throws the system's error; `EEXIST` where the name is that of no file
   */
  linkTo(digest: Digest, path: string): Promise<LinkOutcome>;
  /**
   * Makes a copy of a blob of another store a blob of this one, for a backup: never a hard link, and hashed before it is published. What
   * this store has already, with as many bytes, stays as it is.
   *
   * Where the file system can, the copy shares the blocks of the original until one of the two is written to (a reflink).
   *
   * @throws what this store's disk throws, and the signal's reason. What the other store cannot give is an outcome
   */
  copyFrom(source: BlobSource, blob: HostedBlobSize, options?: CopyOptions): Promise<CopyOutcome>;
}

/** A blob by its digest, with the bytes that its record gives it. */
export interface HostedBlobSize {
  readonly digest: Digest;
  readonly size: number;
}

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes more were read. */
  readonly onBytes?: ((count: number) => void) | undefined;
}

/** `why` a blob was not copied, as a clause: `it is missing`. */
export type CopyOutcome = 'present' | 'copied' | { readonly why: string };

/**
 * `linked`; `present`: it was a name of that file; `absent`: the blob is not stored, or is no file; `impossible`: the file system of the
 * name does not allow it; `too many`: the file has as many names as its file system allows.
 */
export type LinkOutcome = 'linked' | 'present' | 'absent' | 'impossible' | 'too many';

/** Bytes of a note of a named file. */
export const MAX_NOTE_BYTES = 4096;

/** A named file being written. */
export interface ResumableIngestion extends Ingestion {
  /**
   * Cuts the file to a size in bytes: what was written beyond it was never acknowledged. Not beside a write.
   *
   * @throws {RangeError} where the file is smaller
   */
  truncate(size: number): Promise<void>;
}

export interface ReopenedIngestion {
  readonly file: ResumableIngestion;
  /** Bytes that are there. */
  readonly size: number;
  readonly note: string;
}

/** A named file, open or not. */
export interface NamedIngestion {
  readonly name: string;
  /** Bytes that are there. */
  readonly size: number;
  readonly note: string;
  /** When it was written to last; milliseconds since 1970. */
  readonly modifiedAt: number;
}

/** Whether a text can be the name of a named file. */
export function isIngestionName(text: string): boolean {
  return NAMED_NAME.test(text);
}

/** @throws {RangeError} */
export function requireNamed(name: string, note: string): void {
  if (!isIngestionName(name)) throw new RangeError(`A named file cannot be called ${JSON.stringify(name)}`);
  requireShort(note, MAX_NOTE_BYTES);
}

/** @throws {RangeError} where a note has more bytes */
export function requireShort(note: string, most: number): void {
  const bytes = Buffer.byteLength(note);
  if (bytes > most) throw new RangeError(`The note of a named file has ${bytes} bytes, and may have ${most}`);
}
