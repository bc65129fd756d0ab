import type { Digest } from '../../oci/index.ts';

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
