import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { flushDirectory, hasCode } from '../directory/index.ts';
import { MAX_NOTE_BYTES } from './blob-store.ts';
import { removeFile } from './ingest-file.ts';

/** The key by which a note says that this program wrote it: another program's file is never taken for one. */
const KEY = 'entrepot-upload';

/** JSON writes a control character as six bytes. */
const MAX_FILE_BYTES = 6 * MAX_NOTE_BYTES + 64;

/** Writes a note in one step, and flushes it and its name: a reader sees all of it or none. */
export async function writeNote(path: string, note: string): Promise<void> {
  const draft = `${path}.${randomBytes(8).toString('hex')}.new`;
  try {
    await using handle = await open(draft, 'wx', 0o600);
    await handle.writeFile(`${JSON.stringify({ [KEY]: note })}\n`);
    await handle.sync();
    await rename(draft, path);
  } catch (error) {
    await removeFile(draft).catch(() => undefined);
    throw error;
  }
  await flushDirectory(dirname(path));
}

/** Reads a note, following no link; undefined where there is none that this program wrote. */
export async function readNote(path: string): Promise<string | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    await using handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const stats = await handle.stat();
    if (!stats.isFile() || stats.size > MAX_FILE_BYTES) return undefined;
    return noteIn(await handle.readFile('utf8'));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ELOOP', 'EMLINK', 'ENXIO', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function noteIn(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const note = (value as Record<string, unknown>)[KEY];
    return typeof note === 'string' ? note : undefined;
  } catch {
    return undefined;
  }
}
