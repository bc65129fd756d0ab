import { mkdir, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { DirectoryInUseError, hasCode, lockOther } from '../store/index.ts';
import { BackupError } from './error.ts';
import { writeWhole } from './files.ts';

/** The file by which a directory says that it is a backup. */
const MARKER = 'entrepot-backup.json';

/** Which files lie where. It changes only where an earlier release would read a backup wrongly. */
const FORMAT = 1;

/** Markers are a few bytes. */
const MAX_MARKER_BYTES = 64 * 1024;

/** What a directory may hold before it is a backup: a volume's own directory, and the lock and marker of one that was never begun. */
const EMPTY_ENOUGH = new Set(['lost+found', 'lock', 'lock-journal', 'owner.json', 'owner.json.new', `${MARKER}.new`]);

/** Names of other files that a message lists. */
const MAX_NAMES = 3;

/** What a finished backup has. */
export interface Contents {
  /** Milliseconds since 1970. */
  readonly finishedAt: number;
  readonly hosted: boolean;
  readonly access: boolean;
}

/** A directory of backups, which this process owns until it is released. */
export interface BackupPlace {
  /** Undefined where no backup into it was ever finished. */
  readonly before: Contents | undefined;
  /** Notes that all of it is there. */
  finish(contents: Contents): Promise<void>;
  release(): Promise<void>;
}

/**
 * Makes sure that a directory is for backups, before anything in it is written: it has the marker, or it is absent or empty. Then makes
 * this process its owner.
 *
 * @throws {BackupError} where it holds other files, is in the cache or around it, is of a newer release, or in use
 */
export async function claimPlace(directory: string, cacheDir: string): Promise<BackupPlace> {
  await refuseNested(directory, cacheDir);
  const names = await readNames(directory);
  const found = names === undefined ? undefined : await readMarker(directory);
  const others = (names ?? []).filter((name) => !EMPTY_ENOUGH.has(name));
  if (found === undefined && others.length > 0) {
    const listed = others
      .toSorted()
      .slice(0, MAX_NAMES)
      .map((name) => JSON.stringify(name));
    throw new BackupError(
      `${directory} holds other files (${listed.join(', ')}${others.length > MAX_NAMES ? ', …' : ''}) and is no backup. Name an empty directory, or one that does not exist.`,
    );
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const lock = await lockOther(directory).catch((error: unknown) => {
    if (!(error instanceof DirectoryInUseError)) throw error;
    throw new BackupError(`${directory} is in use by another backup or restore. Wait until that has ended.`, {
      cause: error,
    });
  });
  try {
    if (found === undefined) await writeMarker(directory, {});
  } catch (error) {
    await lock.release();
    throw error;
  }
  return {
    before: found?.contents,
    finish: (contents) => writeMarker(directory, contents),
    release: () => lock.release(),
  };
}

/**
 * What a backup has; nothing is written there.
 *
 * @throws {BackupError} where it is none, was never finished, or is of a newer release
 */
export async function readPlace(directory: string): Promise<Contents> {
  if ((await readNames(directory)) === undefined) {
    throw new BackupError(`There is no directory ${directory}. Name the directory that \`entrepot backup\` was given.`);
  }
  const found = await readMarker(directory);
  if (found === undefined) {
    throw new BackupError(
      `${directory} is no backup: it has no ${MARKER}. Name the directory that \`entrepot backup\` was given.`,
    );
  }
  if (found.contents !== undefined) return found.contents;
  throw new BackupError(
    `The backup in ${directory} was never finished, so it is not whole. Run \`entrepot backup\` again, which goes on where it was, or restore another backup.`,
  );
}

async function refuseNested(directory: string, cacheDir: string): Promise<void> {
  const [backup, cache] = await Promise.all([whereIs(directory), whereIs(cacheDir)]);
  const isBelow = (inner: string, outer: string): boolean => {
    const path = relative(outer, inner);
    return path === '' || !(path === '..' || path.startsWith(`..${sep}`));
  };
  if (isBelow(backup, cache) || isBelow(cache, backup)) {
    throw new BackupError(
      `${directory} and the cache directory ${cacheDir} are one in the other. Name a directory elsewhere, best on another disk.`,
    );
  }
}

/** The path without links, as far as it exists. */
async function whereIs(directory: string): Promise<string> {
  const path = resolve(directory);
  try {
    return await realpath(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    const parent = resolve(path, '..');
    return parent === path ? path : join(await whereIs(parent), path.slice(parent.length));
  }
}

async function readNames(directory: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    if (hasCode(error, 'ENOTDIR')) throw new BackupError(`${directory} is a file. Name a directory.`, { cause: error });
    throw error;
  }
}

/** Undefined where there is none. */
async function readMarker(directory: string): Promise<{ readonly contents: Contents | undefined } | undefined> {
  const file = join(directory, MARKER);
  let text: string;
  try {
    const { size } = await stat(file);
    text = size > MAX_MARKER_BYTES ? '' : await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
  const marker = parse(text);
  const { format, finishedAt, hosted, access } = marker;
  if (typeof format === 'number' && format > FORMAT) {
    throw new BackupError(
      `A newer release of entrepot made the backup in ${directory}, in format ${format}, and this release knows format ${FORMAT}. Run that release.`,
    );
  }
  if (format !== FORMAT) {
    throw new BackupError(
      `The file ${MARKER} in ${directory} is damaged. If the directory is a backup, write {"format":${FORMAT}} into that file and run \`entrepot backup\` again; otherwise name another directory.`,
    );
  }
  if (typeof finishedAt !== 'number') return { contents: undefined };
  return { contents: { finishedAt, hosted: hosted === true, access: access === true } };
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function writeMarker(directory: string, contents: Contents | Readonly<Record<string, never>>): Promise<void> {
  return writeWhole(join(directory, MARKER), `${JSON.stringify({ format: FORMAT, ...contents })}\n`);
}
