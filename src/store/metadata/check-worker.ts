import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';

/** Runs in the thread of {@link checkMetadata}, and posts the damage found; an empty text: none. */
function check(file: string): string {
  let database: DatabaseSync | undefined;
  try {
    const url = pathToFileURL(file);
    // The file is not in use: with `immutable`, SQLite needs no lock and creates no file beside it.
    url.searchParams.set('immutable', '1');
    database = new DatabaseSync(url, { readOnly: true });
    const found = String(database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']);
    return found === 'ok' ? '' : found.replaceAll('\n', ' ');
  } catch (error) {
    return (error as Error).message;
  } finally {
    database?.close();
  }
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin, a window has
parentPort?.postMessage(check(String(workerData)));
