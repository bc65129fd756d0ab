/** The result codes that are told apart here. Source: https://www.sqlite.org/rescode.html */
export const SQLITE = { ERROR: 1, BUSY: 5, CORRUPT: 11, CANTOPEN: 14, NOTADB: 26 } as const;

/** The primary result code of an error of SQLite; undefined where it is another error. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return undefined;
  // The extended codes carry the primary one in their lowest byte.
  return error.errcode & 0xff;
}
