import { DatabaseSync } from 'node:sqlite';

/** Milliseconds that it waits for another checkpoint. */
const BUSY_TIMEOUT = 500;

/**
 * Copies what is in the log of a database to the database, beside the connection that writes it, and flushes both. Returns what was
 * in the way; an empty text: nothing.
 */
export function checkpointFile(file: string): string {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT });
    database.exec('PRAGMA synchronous = NORMAL');
    // PASSIVE waits for no reader and no writer, and holds neither.
    database.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
    return '';
  } catch (error) {
    return (error as Error).message;
  } finally {
    database?.close();
  }
}
