import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

/** Reads every page of a database that is not in use. Returns what is wrong with it; an empty text: nothing. */
export function findDamage(file: string): string {
  return withDatabase(file, (database) => {
    const found = String(database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']);
    return found === 'ok' ? '' : found.replaceAll('\n', ' ');
  });
}

/**
 * Copies a database that is not in use into an empty file, without its free pages, in a form that can shrink. Returns what
 * was in the way; an empty text: nothing.
 */
export function copyDatabase(file: string, target: string): string {
  return withDatabase(file, (database) => {
    // The copy takes the setting of the connection, which changes nothing in the source.
    database.exec('PRAGMA auto_vacuum = INCREMENTAL');
    database.prepare('VACUUM INTO ?').run(target);
    return '';
  });
}

function withDatabase(file: string, work: (database: DatabaseSync) => string): string {
  let database: DatabaseSync | undefined;
  try {
    const url = pathToFileURL(file);
    // The file is not in use: with `immutable`, SQLite needs no lock and creates no file beside it.
    url.searchParams.set('immutable', '1');
    database = new DatabaseSync(url, { readOnly: true });
    return work(database);
  } catch (error) {
    return (error as Error).message;
  } finally {
    database?.close();
  }
}
