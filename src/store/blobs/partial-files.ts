import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConcurrencyLimit } from '../../lib/index.ts';
import { type Digest, parseDigest } from '../../oci/index.ts';
import { createDurableDirectory, hasCode } from '../directory/index.ts';
import {
  type KeptPartial,
  MAX_PARTIAL_NOTE_BYTES,
  type PartialFlush,
  type PartialIngestion,
  type PartialStore,
  type ReopenedPartial,
  requireShort,
} from './blob-store.ts';
import { createIngestFile, type IngestFile, type Publish, removeFile } from './ingest-file.ts';
import { type Layout, PARTIAL_DRAFT_NAME, PARTIAL_NAME, PARTIAL_NOTE_NAME } from './layout.ts';
import { type NamedFile, NamedFiles, type NamedKind } from './named-files.ts';

/** The line before the caller's note: the boot of the kernel, and whether the bytes were flushed before it. */
const FIRST_LINE = /^([0-9a-f-]{0,36}) (flushed|written)\n/;

const PARTIALS: NamedKind = {
  name: PARTIAL_NAME,
  noteName: PARTIAL_NOTE_NAME,
  draftName: PARTIAL_DRAFT_NAME,
  key: 'entrepot-partial',
  most: MAX_PARTIAL_NOTE_BYTES + 64,
};

/** The kernel keeps what was written, and not flushed, when the process is killed; a power cut or a crash of the kernel takes it. */
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * Partial content in the directory `partial/`, which is made when the first file is kept.
 *
 * A file grows in `ingest/` until its first note. Then it comes here: first the note, then the file, by a rename. It goes in the
 * opposite order. A kill leaves both, or one of them alone, which is removed later: here all files of these names are this program's.
 */
export class PartialFiles implements PartialStore {
  readonly #layout: Layout;
  readonly #publish: Publish;
  readonly #files: NamedFiles;
  /** A flush holds a thread of the pool for long. */
  readonly #flushes = new ConcurrencyLimit(1);
  #boot: Promise<string> | undefined;
  #made: Promise<void> | undefined;

  constructor(layout: Layout, publish: Publish) {
    this.#layout = layout;
    this.#publish = publish;
    this.#files = new NamedFiles(layout.partial, PARTIALS, publish);
  }

  async begin(digest: Digest): Promise<PartialIngestion> {
    return this.#partial(digest, await createIngestFile(this.#layout.newIngest(), this.#publish));
  }

  async reopen(digest: Digest): Promise<ReopenedPartial | undefined> {
    const name = this.#layout.partialName(digest);
    if (this.#files.isOpen(name)) return undefined;
    const found = await this.#files.reopen(name);
    if (found === undefined) return undefined;
    const [line = '', boot, how] = FIRST_LINE.exec(found.note) ?? [];
    // Without a boot that is known, no two are the same.
    const isIntact = how === 'flushed' || (how === 'written' && boot !== '' && boot === (await this.#bootId()));
    const note = found.note.slice(line.length);
    return { file: this.#partial(digest, found.file), size: found.size, note, isIntact };
  }

  async list(): Promise<readonly KeptPartial[]> {
    const directory = this.#layout.partial;
    const names = await readdir(directory).catch(nothing);
    const found: KeptPartial[] = [];
    for (const name of names) {
      const of = PARTIAL_NOTE_NAME.exec(name)?.[1] ?? PARTIAL_DRAFT_NAME.exec(name)?.[1] ?? name;
      if (!PARTIAL_NAME.test(of) || this.#files.isOpen(of)) continue;
      const path = join(directory, name);
      const stats = await lstat(path).catch(gone);
      if (stats?.isFile() !== true || this.#files.isOpen(of)) continue;
      const digest = parseDigest(name.replace('-', ':'));
      if (digest !== undefined && names.includes(`${name}.note`)) {
        // A file with gaps takes less of the disk than its size says.
        const bytes = Math.min(stats.size, stats.blocks * 512);
        found.push({ digest, bytes, modifiedAt: Math.floor(stats.mtimeMs) });
      } else if (digest !== undefined || name !== `${of}.note` || !names.includes(of)) await removeFile(path);
    }
    return found;
  }

  remove(digest: Digest): Promise<boolean> {
    return this.#files.remove(this.#layout.partialName(digest));
  }

  #partial(digest: Digest, file: IngestFile | NamedFile): PartialFile {
    return new PartialFile(file, {
      adopt: async (growing, note) => {
        this.#made ??= createDurableDirectory(this.#layout.partial);
        try {
          await this.#made;
          return await this.#files.adopt(growing, this.#layout.partialName(digest), note);
        } catch (error) {
          // The disk refused the directory, or an operator removed it while the server ran.
          this.#made = undefined;
          throw error;
        }
      },
      boot: () => this.#bootId(),
      flush: (flushed) => this.#flushes.run(() => flushed.flush()),
    });
  }

  #bootId(): Promise<string> {
    this.#boot ??= readFile(BOOT_ID, 'utf8').then(
      (text) => (/^[0-9a-f-]{36}$/.test(text.trim()) ? text.trim() : ''),
      () => '',
    );
    return this.#boot;
  }
}

interface PartialActions {
  /** Makes a file that grows a kept one. */
  readonly adopt: (file: IngestFile, note: { text: string; flush: boolean }) => Promise<NamedFile>;
  readonly boot: () => Promise<string>;
  readonly flush: (file: IngestFile | NamedFile) => Promise<void>;
}

/** A growing file, kept or not. Its notes are written one after the other, and before it ends. */
class PartialFile implements PartialIngestion {
  #file: IngestFile | NamedFile;
  readonly #actions: PartialActions;
  #notes: Promise<unknown> = Promise.resolve();
  #isLeft = false;

  constructor(file: IngestFile | NamedFile, actions: PartialActions) {
    this.#file = file;
    this.#actions = actions;
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

  note(text: string, { flush = 'nothing' }: { readonly flush?: PartialFlush } = {}): Promise<void> {
    const written = this.#notes.then(() => this.#note(text, flush));
    this.#notes = written.catch(() => undefined);
    return written;
  }

  async #note(own: string, how: PartialFlush): Promise<void> {
    requireShort(own, MAX_PARTIAL_NOTE_BYTES);
    if (this.#isLeft) throw new Error('Cannot note anything of a file that was left');
    if (how === 'all') await this.#actions.flush(this.#file);
    const text = `${await this.#actions.boot()} ${how === 'all' ? 'flushed' : 'written'}\n${own}`;
    const flush = how !== 'nothing';
    if ('note' in this.#file) await this.#file.note({ text, flush });
    else this.#file = await this.#actions.adopt(this.#file, { text, flush });
  }

  leave(): void {
    if (!('note' in this.#file)) throw new Error('Cannot leave a file without a note');
    this.#isLeft = true;
    this.#file.release();
  }

  async commit(digest: Digest): Promise<void> {
    await this.#notes;
    if (this.#isLeft) throw new Error(`Cannot commit ${digest} as its file was left`);
    await this.#file.commit(digest);
  }

  async abort(): Promise<void> {
    await this.#notes;
    if (!this.#isLeft) await this.#file.abort();
  }

  async close(): Promise<void> {
    await this.#notes;
    await this.#file.close();
  }
}

function nothing(error: unknown): readonly string[] {
  if (!hasCode(error, 'ENOENT')) throw error;
  return [];
}

function gone(error: unknown): undefined {
  if (!hasCode(error, 'ENOENT')) throw error;
}
