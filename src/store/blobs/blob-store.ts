import type { Digest } from '../../oci/index.ts';

/**
 * Where verified bytes rest under their digest. The life of the data: begin → write → commit | abort. Nothing is visible
 * through `open` before `commit`, and the store never hashes: whoever commits has verified.
 */
export interface BlobStore {
  /** Starts a file that grows outside the store's visible part. */
  begin(): Promise<Ingestion>;
  /**
   * Opens a stored blob; undefined where there is none.
   *
   * Never follows a symbolic link, and never opens anything but a regular file.
   */
  open(digest: Digest): Promise<StoredBlob | undefined>;
  /** Size in bytes; undefined where it is not stored. */
  stat(digest: Digest): Promise<number | undefined>;
  /** Forgets a blob; true where there was one. Readers that have it open read on. */
  delete(digest: Digest): Promise<boolean>;
  /** Takes a blob that turned out wrong out of sight, keeping its bytes for whoever looks into it. */
  quarantine(digest: Digest): Promise<void>;
  /** Every stored digest with its size, in no order. */
  list(): AsyncIterable<{ readonly digest: Digest; readonly size: number }>;
  /**
   * Every stored digest in ascending order, some hundreds or thousands at a time. Much cheaper than `list`, as no file is
   * looked at; what is stored or deleted meanwhile may be among them or not.
   */
  listDigests(): AsyncIterable<readonly Digest[]>;
}

/** A file that is being written. One writer, any number of readers of what has been written. */
export interface Ingestion {
  /** Writes the whole chunk at the position. The buffer may be used again when the promise resolves. */
  write(chunk: Buffer, position: number): Promise<void>;
  /** Reads what was written before; returns the number of bytes, which may be fewer than asked for. */
  read(target: Buffer, position: number): Promise<number>;
  /**
   * Publishes the file under the digest: data flushed, renamed into place, directory flushed. The bytes must have been
   * verified. What lay there under the digest is replaced, since nobody knows what has become of it; whoever has it open
   * reads on. Reading goes on afterwards, until `close`.
   */
  commit(digest: Digest): Promise<void>;
  /** After the commit: that of the published file; see {@link StoredBlob.mark}. */
  readonly mark?: string | undefined;
  /** Removes the file from the disk, if it was not committed. Reading goes on afterwards, until `close`. */
  abort(): Promise<void>;
  /** Releases the descriptor. To be called once, after the last read. */
  close(): Promise<void>;
}

/** A blob opened for reading. */
export interface StoredBlob {
  readonly size: number;
  /**
   * Tells this file, as it is now, from every other and from itself once it has been written to; undefined where the store
   * cannot tell. It says nothing of a disk that rots by itself.
   */
  readonly mark?: string | undefined;
  /** Set where its bytes can be sent without being read. Nothing of it may be used after `close`. */
  readonly direct?: DirectFile | undefined;
  read(target: Buffer, position: number): Promise<number>;
  close(): Promise<void>;
}

/** What can be done with a file at once, or not at all: neither call waits, for the disk or for room. */
export interface DirectFile {
  /**
   * Has the kernel bring bytes to a socket.
   *
   * @param socket descriptor of a socket in which nothing waits to be sent
   * @param count more than 0
   * @returns bytes the socket took, perhaps fewer; 0 where it can not be done now
   */
  sendTo(socket: number, position: number, count: number): number;
  /** Reads what is in memory; 0 where nothing is, or can be had. */
  readNow(target: Buffer, position: number): number;
}
