import { constants, open as openCallback } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crashPoint } from '../../lib/index.ts';
import type { Digest } from '../../oci/index.ts';
import { flushDirectory, hasCode } from '../directory/index.ts';
import type { NamedIngestion, ResumableIngestion } from './blob-store.ts';
import { createIngestFile, IngestFile, type Publish, removeFile } from './ingest-file.ts';
import { type NoteKind, readNote, writeNote } from './note.ts';
import { OpenFile } from './open-file.ts';

const openDescriptor = promisify(openCallback);

/*
 * A file and its note come and go in an order by which a kill at any line leaves one of three states: nothing; a note alone,
 * which the next start removes; both. So a file without a note is never one of this program's.
 *
 *   begin:          note (flushed), then file
 *   commit, abort:  file, then note
 */

/** A kind of named files, by their names and notes. */
export interface NamedKind extends NoteKind {
  readonly name: RegExp;
  /** Of a note; its first group is the name of the file. */
  readonly noteName: RegExp;
  /** Of a note that was not finished; its first group is the name of the file. */
  readonly draftName: RegExp;
}

interface Reopened {
  readonly file: NamedFile;
  readonly size: number;
  readonly note: string;
}

/** The growing files of a directory that survive the process. */
export class NamedFiles {
  readonly #directory: string;
  readonly #kind: NamedKind;
  readonly #publish: Publish;
  readonly #open = new Set<string>();

  constructor(directory: string, kind: NamedKind, publish: Publish) {
    this.#directory = directory;
    this.#kind = kind;
    this.#publish = publish;
  }

  async begin(name: string, note: string): Promise<ResumableIngestion> {
    return this.#holding(name, async () => {
      const path = this.#pathOf(name);
      const taken = await Promise.all([isThere(path), isThere(noteOf(path))]);
      if (taken.includes(true)) throw new Error(`Cannot begin ${path} as it is there already`);
      await writeNote(noteOf(path), note, this.#kind);
      crashPoint('named.noted');
      try {
        return this.#named(name, await createIngestFile(path, this.#publish));
      } catch (error) {
        await dropNote(path);
        throw error;
      }
    });
  }

  /** Makes a file that grows elsewhere on the file system a named one. A note without a file is replaced. */
  async adopt(file: IngestFile, name: string, note: NoteToWrite): Promise<NamedFile> {
    return this.#holding(name, async () => {
      const path = this.#pathOf(name);
      if (await isThere(path)) throw new Error(`Cannot keep ${path} as it is there already`);
      await writeNote(noteOf(path), note.text, { ...this.#kind, ...note });
      crashPoint('adopt.noted');
      try {
        await file.moveTo(path);
      } catch (error) {
        await dropNote(path);
        throw error;
      }
      crashPoint('adopt.moved');
      if (note.flush) await flushDirectory(this.#directory);
      return this.#named(name, file);
    });
  }

  /** Deletes a file that is not open, and its note; false where there is none. */
  async remove(name: string): Promise<boolean> {
    if (!this.#kind.name.test(name) || this.#open.has(name)) return false;
    this.#open.add(name);
    try {
      const path = this.#pathOf(name);
      if ((await lstat(path).catch(absent))?.isFile() !== true) return false;
      const removed = await removeFile(path);
      crashPoint('named.removed');
      await dropNote(path);
      return removed;
    } finally {
      this.#open.delete(name);
    }
  }

  /** Whether a name is in use. */
  isOpen(name: string): boolean {
    return this.#open.has(name);
  }

  async reopen(name: string): Promise<Reopened | undefined> {
    if (!this.#kind.name.test(name)) return undefined;
    return this.#holding(name, async () => {
      const path = this.#pathOf(name);
      const note = await readNote(noteOf(path), this.#kind);
      const descriptor = note === undefined ? undefined : await openToGrow(path);
      if (note === undefined || descriptor === undefined) return undefined;
      const file = new OpenFile(descriptor);
      try {
        const stats = await file.stat();
        if (stats.isFile() && stats.nlink === 1) {
          return { file: this.#named(name, new IngestFile(file, path, this.#publish)), size: stats.size, note };
        }
        // It is a blob as well: some file systems may keep both names where the power was cut in a rename. A blob never changes.
        if (stats.isFile()) {
          await removeFile(path);
          await dropNote(path);
        }
      } catch (error) {
        await file.close();
        throw error;
      }
      await file.close();
      return undefined;
    });
  }

  async list(): Promise<readonly NamedIngestion[]> {
    const found: NamedIngestion[] = [];
    // One after the other: how many there are is the caller's to bound.
    for (const name of (await readdir(this.#directory)).filter((each) => this.#kind.name.test(each))) {
      const path = this.#pathOf(name);
      const stats = await lstat(path).catch(absent);
      if (stats?.isFile() !== true) continue;
      const note = await readNote(noteOf(path), this.#kind);
      if (note !== undefined) found.push({ name, size: stats.size, note, modifiedAt: Math.floor(stats.mtimeMs) });
    }
    return found;
  }

  #pathOf(name: string): string {
    return join(this.#directory, name);
  }

  /** Runs what opens a file, which is open afterwards where it gives one. */
  async #holding<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.#open.has(name)) throw new Error(`Cannot open ${this.#pathOf(name)} as it is open already`);
    this.#open.add(name);
    let opened: T | undefined;
    try {
      opened = await work();
      return opened;
    } finally {
      if (opened === undefined) this.#open.delete(name);
    }
  }

  #named(name: string, file: IngestFile): NamedFile {
    const path = this.#pathOf(name);
    return new NamedFile(file, path, {
      note: ({ text, flush }) => writeNote(noteOf(path), text, { ...this.#kind, flush }),
      release: () => this.#open.delete(name),
    });
  }
}

/**
 * Removes what a killed process left of named files that had ended, or had not begun, and leaves everything else.
 *
 * @returns how many entries are another program's
 */
export async function tidyNamedFiles(directory: string, kind: NamedKind): Promise<number> {
  const entries = await readdir(directory, { withFileTypes: true });
  const files = new Set(entries.filter((entry) => entry.isFile()).map(({ name }) => name));
  const names = new Set(entries.map(({ name }) => name));
  let left = 0;
  for (const { name } of entries) {
    const path = join(directory, name);
    const noted = kind.noteName.exec(name)?.[1];
    if (!files.has(name)) left += 1;
    else if (kind.draftName.test(name)) await removeFile(path);
    else if (kind.name.test(name) && (await readNote(noteOf(path), kind)) !== undefined) continue;
    else if (noted === undefined || (await readNote(path, kind)) === undefined) left += 1;
    else if (!names.has(noted)) await removeFile(path);
  }
  return left;
}

interface NoteToWrite {
  readonly text: string;
  readonly flush: boolean;
}

/** What a named file does beside its bytes. */
interface NamedActions {
  readonly note: (note: NoteToWrite) => Promise<void>;
  /** Lets it be opened again. */
  readonly release: () => void;
}

/** An {@link IngestFile} with a note beside it, that stays when it is closed. */
export class NamedFile implements ResumableIngestion {
  readonly #file: IngestFile;
  readonly #path: string;
  readonly #actions: NamedActions;
  #isReleased = false;

  constructor(file: IngestFile, path: string, actions: NamedActions) {
    this.#file = file;
    this.#path = path;
    this.#actions = actions;
  }

  /** Writes another note. */
  note(note: NoteToWrite): Promise<void> {
    return this.#actions.note(note);
  }

  /** Lets it be opened again, while this one reads on. It must not be written, committed or aborted any more. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#actions.release();
  }

  /** Flushes the bytes to the disk. */
  flush(): Promise<void> {
    return this.#file.flush();
  }

  get mark(): string | undefined {
    return this.#file.mark;
  }

  write(chunk: Buffer, position: number): Promise<void> {
    return this.#file.write(chunk, position);
  }

  read(target: Buffer, position: number): Promise<number> {
    return this.#file.read(target, position);
  }

  truncate(size: number): Promise<void> {
    return this.#file.truncate(size);
  }

  async commit(digest: Digest): Promise<void> {
    await this.#file.commit(digest);
    await dropNote(this.#path);
  }

  async abort(): Promise<void> {
    if (this.#file.isMoved) return;
    await this.#file.abort();
    crashPoint('named.removed');
    await dropNote(this.#path);
  }

  async close(): Promise<void> {
    const wasMoved = this.#file.isMoved;
    try {
      await this.#file.leave();
      if (!wasMoved && this.#file.isMoved) await dropNote(this.#path);
    } finally {
      this.release();
    }
  }
}

function noteOf(path: string): string {
  return `${path}.note`;
}

/** A note that cannot be removed is no reason to fail what has been done: the next start removes it. */
async function dropNote(path: string): Promise<void> {
  await removeFile(noteOf(path)).catch(() => undefined);
}

/** Opens a growing file; undefined where there is no file. */
async function openToGrow(path: string): Promise<number | undefined> {
  const { O_RDWR, O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const flags = O_NOFOLLOW | O_NONBLOCK;
  try {
    return await openDescriptor(path, O_RDWR | flags);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ELOOP', 'EMLINK', 'ENXIO', 'ENOTDIR', 'EISDIR')) return undefined;
    if (!hasCode(error, 'EACCES')) throw error;
  }
  // The process was killed in a commit, which makes the file read-only before it renames it.
  await using handle = await open(path, O_RDONLY | flags);
  if (!(await handle.stat()).isFile()) return undefined;
  await handle.chmod(0o600);
  return openDescriptor(path, O_RDWR | flags);
}

async function isThere(path: string): Promise<boolean> {
  return (await lstat(path).catch(absent)) !== undefined;
}

function absent(error: unknown): undefined {
  if (!hasCode(error, 'ENOENT')) throw error;
}
