import { randomBytes } from 'node:crypto';
import { lstat, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { createDirectory, flushDirectory } from './directories.ts';
import { DirectoryError } from './error.ts';
import { hasCode } from './system-error.ts';

/** The file by which a directory says that it is a cache. */
export const MARKER = 'entrepot-cache.json';

/**
 * The version of the layout: which files lie where (blobs/layout.ts, metadata/backup.ts). The tables have a version of their
 * own, in the database (metadata/schema.ts). It changes only where an earlier release would damage the directory.
 */
const FORMAT = 1;

/** A volume's own directory, which every ext4 file system has at its root. */
const OF_THE_VOLUME = 'lost+found';

/** A marker that was not finished. */
const DRAFT = /^entrepot-cache\.json\.[0-9a-f]{16}\.new$/;

/** Subdirectories that are looked at for the cache that was meant, and names that a message lists. */
const MAX_SUBDIRECTORIES = 100;
const MAX_NAMES = 3;

/** Markers are a few bytes. */
const MAX_MARKER_BYTES = 4096;

/**
 * Makes sure that a directory is a cache, before anything in it is written or removed: it has the marker, or it is a cache of
 * a release that wrote none, or, with `create`, it is absent or empty. Writes the marker where it is missing.
 *
 * A refused directory is left as it was.
 *
 * @param options `create`: true for a server, which begins a cache; false for a command on an existing one
 * @throws {DirectoryError} where it holds other files, a newer release's cache, or nothing while `create` is false; and where
 * the system refuses it
 */
export async function claimDirectory(directory: string, { create }: { readonly create: boolean }): Promise<void> {
  const state = await stateOf(directory);
  if (!create) requireExisting(directory, state);
  await createDirectory(directory);
  if (state === 'marked') return;
  try {
    await writeMarker(directory);
  } catch (error) {
    // A full disk must not stop a server that has a cache: it is known by its files as before.
    if (state === 'unmarked') return;
    throw new DirectoryError(directory, error);
  }
}

/** Writes nothing. @throws {DirectoryError} where a server would refuse the directory: see {@link claimDirectory} */
export async function refuseForeign(directory: string): Promise<void> {
  await stateOf(directory);
}

/** `unmarked`: the cache of a release that wrote no marker. */
type State = 'absent' | 'empty' | 'marked' | 'unmarked';

/** A server makes a cache of an absent or empty directory. For a command, such a directory is a mistyped name. */
function requireExisting(directory: string, state: State): void {
  if (state !== 'absent' && state !== 'empty') return;
  const found = state === 'absent' ? 'no such directory' : 'it is empty, so it is no cache';
  const remedy =
    "Name the server's configuration with --config, or the directory with --cache-dir; or start the server once, which begins a cache.";
  throw new DirectoryError(directory, new Error(`${found}. ${remedy}`));
}

/** @throws {DirectoryError} for a directory that holds other files, or the cache of a newer release */
async function stateOf(directory: string): Promise<State> {
  let names: readonly string[];
  try {
    names = (await readdir(directory)).filter((name) => name !== OF_THE_VOLUME && !DRAFT.test(name));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 'absent';
    throw new DirectoryError(directory, error);
  }
  const marker = await readMarker(directory);
  if (marker === 'marked') return 'marked';
  const others = names.filter((name) => name !== MARKER || marker === 'absent');
  if (others.length === 0) return 'empty';
  if (await isHosted(directory)) {
    const found = `it holds what was pushed to a cache, and is a part of that. Name the cache with --cache-dir: ${dirname(directory)}.`;
    throw new DirectoryError(directory, new Error(found));
  }
  if (hasDatabase(directory) || (await hasLayout(directory))) return 'unmarked';
  throw new DirectoryError(directory, new Error(await explainForeign(directory, others)));
}

async function explainForeign(directory: string, names: readonly string[]): Promise<string> {
  const listed = names
    .toSorted()
    .slice(0, MAX_NAMES)
    .map((name) => JSON.stringify(name));
  const found = `it holds other files (${listed.join(', ')}${names.length > MAX_NAMES ? ', …' : ''}) and is no cache. `;
  for (const name of names.slice(0, MAX_SUBDIRECTORIES)) {
    const below = join(directory, name);
    const isCache = (await readMarker(below).catch(() => 'absent')) === 'marked' || hasDatabase(below);
    if (isCache) return `${found}Its subdirectory ${name} is one: name ${below}.`;
  }
  return (
    `${found}Choose an empty directory with --cache-dir. ` +
    `If these files are a cache, put a file ${MARKER} with the text {"format":${FORMAT}} beside them.`
  );
}

/** `unfinished`: an empty file, which a power cut leaves. @throws {DirectoryError} for another format */
async function readMarker(directory: string): Promise<'marked' | 'absent' | 'unfinished'> {
  const file = join(directory, MARKER);
  let text: string;
  try {
    const stats = await stat(file);
    if (!stats.isFile()) return 'absent';
    await using handle = await open(file, 'r');
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_MARKER_BYTES), 0, MAX_MARKER_BYTES, 0);
    text = buffer.toString('utf8', 0, bytesRead).replaceAll('\0', '').trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return 'absent';
    throw new DirectoryError(directory, error);
  }
  if (text === '') return 'unfinished';
  const format = formatIn(text);
  if (format === FORMAT) return 'marked';
  const found =
    typeof format === 'number' && format > FORMAT
      ? `a newer release of entrepot made it, in format ${format}, and this release knows format ${FORMAT}. ` +
        'Run that release, or choose another directory with --cache-dir.'
      : `its file ${MARKER} names no format that is known. If the directory is a cache, write {"format":${FORMAT}} into that ` +
        'file; otherwise choose another with --cache-dir.';
  throw new DirectoryError(directory, new Error(found));
}

function formatIn(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
  } catch {
    return undefined;
  }
}

/** The databases of a cache, by their tables. */
const DATABASES: Readonly<Record<string, readonly string[]>> = {
  'names.db': ['tags', 'members', 'blobs', 'totals'],
  // Alone where users and tokens were put back from a backup, for a cache that begins empty.
  'access.db': ['users', 'tokens'],
  // The same of what was pushed.
  'hosted/hosted.db': ['repositories', 'manifests', 'tags', 'moves'],
};

/** Whether it holds a database of a cache. */
function hasDatabase(directory: string): boolean {
  return Object.entries(DATABASES).some(([name, tables]) => hasTables(join(directory, name), tables));
}

function hasTables(path: string, expected: readonly string[]): boolean {
  let database: DatabaseSync | undefined;
  try {
    // Immutable: SQLite reads the file alone, and makes neither a log nor a lock beside it.
    const file = pathToFileURL(path);
    file.searchParams.set('immutable', '1');
    database = new DatabaseSync(file, { readOnly: true });
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
    const found = new Set(tables.map((row) => row['name']));
    return expected.every((name) => found.has(name));
  } catch {
    // It is missing, damaged, or no database.
    return false;
  } finally {
    database?.close();
  }
}

/** Whether it is the directory of hosted content in a cache: evicting and purging there would lose what was pushed. */
async function isHosted(directory: string): Promise<boolean> {
  const [blobs, uploads, lock] = await Promise.all(
    [join('blobs', 'sha256'), 'uploads', 'lock'].map((name) => lstat(join(directory, name)).catch(() => undefined)),
  );
  return blobs?.isDirectory() === true && uploads?.isDirectory() === true && lock === undefined;
}

/** Whether it holds what a cache without a readable database is known by: beside the blobs the lock, or all else; or hosted content. */
async function hasLayout(directory: string): Promise<boolean> {
  if (await isHosted(join(directory, 'hosted'))) return true;
  const look = (...name: string[]) => lstat(join(directory, ...name)).catch(() => undefined);
  const [blobs, lock, ingest, quarantine] = await Promise.all([
    look('blobs', 'sha256'),
    look('lock'),
    look('ingest'),
    look('quarantine'),
  ]);
  if (blobs?.isDirectory() !== true) return false;
  return lock?.isFile() === true || (ingest?.isDirectory() === true && quarantine?.isDirectory() === true);
}

/** Two servers may start at once: each writes a draft of its own. */
async function writeMarker(directory: string): Promise<void> {
  const file = join(directory, MARKER);
  const draft = `${file}.${randomBytes(8).toString('hex')}.new`;
  try {
    await using handle = await open(draft, 'wx', 0o600);
    await handle.writeFile(`${JSON.stringify({ format: FORMAT })}\n`);
    await handle.sync();
    await rename(draft, file);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
  await flushDirectory(directory);
}
