/** Result codes of SQLite. Source: https://www.sqlite.org/rescode.html */
export const SQLITE = {
  ERROR: 1,
  BUSY: 5,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  NOTADB: 26,
} as const;

/** The primary result code of an SQLite error; undefined for any other error. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  // The lowest byte of an extended code is its primary code.
  return error.errcode & 0xff;
}

/** SQLITE_IOERR_SHMSIZE: the file for the index of the log cannot grow. */
const SHM_SIZE = 4874;

/** Whether a disk or a quota is full: as the system says it, or as SQLite does. */
export function isFullDisk(error: unknown): boolean {
  if (sqliteCode(error) === SQLITE.FULL) return true;
  if (!(error instanceof Error)) return false;
  if ('errcode' in error) return error.errcode === SHM_SIZE;
  return 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}
