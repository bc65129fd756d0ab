import { isFullDisk, SQLITE, sqliteCode } from '../sqlite-error.ts';
import { HostedStoreError } from './error.ts';

/** Makes a {@link HostedStoreError} of an error of SQLite; any other error stays as it is. */
export function explain(error: unknown, file: string): unknown {
  if (error instanceof HostedStoreError) return error;
  if (isFullDisk(error)) return onFullDisk(file, error);
  switch (sqliteCode(error)) {
    case SQLITE.NOTADB:
      return new HostedStoreError(file, { found: 'it is not a database', cause: error });
    case SQLITE.CORRUPT:
      return new HostedStoreError(file, { found: 'it is damaged', cause: error });
    case SQLITE.ERROR:
      return new HostedStoreError(file, {
        found: `one of its tables is not as it should be (${(error as Error).message})`,
        cause: error,
      });
    case SQLITE.BUSY:
      return new HostedStoreError(file, {
        found: 'another process holds its lock',
        remedy: 'End that process (`sqlite3`?), and repeat the request.',
        cause: error,
      });
    case SQLITE.READONLY:
      return new HostedStoreError(file, {
        found: 'it cannot be written, or was moved or removed while it was open',
        remedy:
          'Stop the server, put the file back, see that the user of the server may write it and its directory, and start the server.',
        cause: error,
      });
    case SQLITE.IOERR:
    case SQLITE.CANTOPEN:
      return new HostedStoreError(file, {
        found: `it cannot be read or written (${(error as Error).message})`,
        remedy: 'See that the user of the server may write it and its directory, and that the disk is sound.',
        cause: error,
      });
    default:
      return error;
  }
}

/** Another directory is no remedy: the records are in this one. */
export function onFullDisk(file: string, cause: unknown): HostedStoreError {
  return new HostedStoreError(file, { found: 'its disk is full', remedy: 'Make room on it.', code: 'ENOSPC', cause });
}
