import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';

/** Runs in the threads of check.ts: checks a database or, with a target, copies it. Posts what is wrong; an empty text: nothing. */
function run({ file, target }: { readonly file: string; readonly target?: string }): string {
  let database: DatabaseSync | undefined;
  try {
    const url = pathToFileURL(file);
    // The file is not in use: with `immutable`, SQLite needs no lock and creates no file beside it.
    url.searchParams.set('immutable', '1');
    database = new DatabaseSync(url, { readOnly: true });
    if (target !== undefined) return copy(database, target);
    const found = String(database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']);
    return found === 'ok' ? '' : found.replaceAll('\n', ' ');
  } catch (error) {
    return (error as Error).message;
  } finally {
    database?.close();
  }
}

/** The copy takes the setting of the connection, which changes nothing in the source. */
function copy(database: DatabaseSync, target: string): string {
  database.exec('PRAGMA auto_vacuum = INCREMENTAL');
  database.prepare('VACUUM INTO ?').run(target);
  return '';
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
parentPort?.postMessage(run(workerData as Parameters<typeof run>[0]));
