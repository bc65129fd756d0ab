import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crashPoint } from '../../lib/index.ts';
import { flushDirectory, hasCode } from '../directory/index.ts';
import { removeFile } from './ingest-file.ts';

/** A kind of notes. */
export interface NoteKind {
  /** The key by which a note says that this program wrote it: another program's file is never taken for one. */
  readonly key: string;
  /** Bytes of a note. */
  readonly most: number;
}

/**
 * Writes a note in one step: a reader sees all of it or none.
 *
 * @param options `flush`: a power cut too leaves all of it. Otherwise it may leave an empty file. @default true
 */
export async function writeNote(
  path: string,
  note: string,
  { key, flush = true }: NoteKind & { readonly flush?: boolean },
): Promise<void> {
  const draft = `${path}.${randomBytes(8).toString('hex')}.new`;
  try {
    await using handle = await open(draft, 'wx', 0o600);
    await handle.writeFile(`${JSON.stringify({ [key]: note })}\n`);
    if (flush) await handle.sync();
    crashPoint('note.drafted');
    await rename(draft, path);
  } catch (error) {
    await removeFile(draft).catch(() => undefined);
    throw error;
  }
  if (flush) await flushDirectory(dirname(path));
}

/** Reads a note, following no link; undefined where there is none that this program wrote. */
export async function readNote(path: string, { key, most }: NoteKind): Promise<string | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    await using handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const stats = await handle.stat();
    // JSON writes a control character as six bytes.
    if (!stats.isFile() || stats.size > 6 * most + 64) return undefined;
    return noteIn(await handle.readFile('utf8'), key);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ELOOP', 'EMLINK', 'ENXIO', 'ENOTDIR')) return undefined;
    throw error;
  }
}

function noteIn(text: string, key: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const note = (value as Record<string, unknown>)[key];
    return typeof note === 'string' ? note : undefined;
  } catch {
    return undefined;
  }
}
