/** Where the records are lost, what they are made of again. */
export const REBUILD_REMEDY =
  'Put a copy from your backup in its place, or make it again from the layouts beside it: stop the server, run `entrepot hosted rebuild`, and start the server.';

/** The records of hosted repositories cannot be used. They are never replaced by empty ones, with which all of them would be lost. */
export class HostedStoreError extends Error {
  override readonly name = 'HostedStoreError';
  readonly file: string;
  /** What is wrong, as a clause: `its disk is full`. */
  readonly found: string;
  /** What the operator does about it, in whole sentences. */
  readonly remedy: string;
  /** The operating system's code where the disk is full (`ENOSPC`), by which `isFullDisk` knows it. */
  readonly code: string | undefined;

  constructor(
    file: string,
    options: {
      readonly found: string;
      /** @default {@link REBUILD_REMEDY} */
      readonly remedy?: string;
      readonly code?: string;
      readonly cause?: unknown;
    },
  ) {
    const { found, remedy = REBUILD_REMEDY, code, cause } = options;
    super(`Cannot use the records of hosted repositories ${file}: ${found}. ${remedy}`, { cause });
    this.file = file;
    this.found = found;
    this.remedy = remedy;
    this.code = code;
  }
}
