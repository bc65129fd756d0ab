import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDigest } from '../../oci/index.ts';
import { hasCode } from '../directory/index.ts';
import type { UnknownFiles } from './blob-store.ts';
import { INGEST_NAME, QUARANTINED_NAME } from './layout.ts';

/** Names that a report lists. */
const MAX_NAMES = 10;

/** The files of the other rooms at the top of a cache directory. */
const TOP_FILES: readonly RegExp[] = [
  /^entrepot-cache\.json(?:\.[0-9a-f]{16}\.new)?$/,
  /^names(?:\.backup)?\.db(?:\.new)?(?:-wal|-shm|-journal)?$/,
  /^names\.db\.corrupt-\d{8}T\d{9}Z(?:-wal)?$/,
  /^access\.db(?:\.new)?(?:-journal)?$/,
  /^observations\.db(?:-wal|-shm|-journal|\.corrupt)?$/,
  /^lock(?:-journal)?$/,
  /^(?:owner|clean-stop)\.json(?:\.new)?$/,
  /^control\.sock$/,
  /^push\.key(?:\.new)?$/,
];

/** What a directory of the cache may hold. */
interface Place {
  readonly isOurs: (entry: Dirent) => boolean;
  /** The places below it. @default none */
  readonly below?: (name: string) => Place | undefined;
}

const isFileLike =
  (...patterns: readonly RegExp[]) =>
  (entry: Dirent): boolean =>
    entry.isFile() && patterns.some((pattern) => pattern.test(entry.name));

function shardOf(algorithm: 'sha256' | 'sha512', shard: string): Place | undefined {
  if (!/^[0-9a-f]{2}$/.test(shard)) return undefined;
  const isOurs = (entry: Dirent): boolean =>
    entry.isFile() && entry.name.startsWith(shard) && parseDigest(`${algorithm}:${entry.name}`) !== undefined;
  return { isOurs };
}

/** A certificate, or the failures of its orders, named after a domain. */
const ACME_NAME = /^[a-z0-9.-]+\.(?:pem|failure\.json)(?:\.new)?$/;

const NOTHING = (): boolean => false;

const PLACES: Readonly<Record<string, Place>> = {
  blobs: {
    isOurs: NOTHING,
    below: (name) =>
      name === 'sha256' || name === 'sha512'
        ? { isOurs: NOTHING, below: (shard: string) => shardOf(name, shard) }
        : undefined,
  },
  ingest: { isOurs: isFileLike(INGEST_NAME) },
  quarantine: { isOurs: isFileLike(QUARANTINED_NAME) },
  foreign: { isOurs: NOTHING },
  ca: { isOurs: isFileLike(/^ca\.(?:crt|key)$/) },
  // A folder for each ACME server.
  acme: { isOurs: NOTHING, below: () => ({ isOurs: isFileLike(/^account\.key(?:\.new)?$/, ACME_NAME) }) },
};

const TOP: Place = {
  // A volume's own directory, which every ext4 file system has at its root. A socket is no file.
  isOurs: (entry) => entry.name === 'lost+found' || TOP_FILES.some((pattern) => pattern.test(entry.name)),
  below: (name) => (Object.hasOwn(PLACES, name) ? PLACES[name] : undefined),
};

/**
 * Finds what lies in a cache directory and is none of the cache's files, by the names alone. An unknown directory counts once.
 * The cost grows with the number of blobs; a directory is read at a time.
 */
export async function findUnknownFiles(directory: string): Promise<UnknownFiles> {
  let count = 0;
  const names: string[] = [];
  for await (const name of unknownIn(directory, TOP, '')) {
    count += 1;
    if (names.length < MAX_NAMES) names.push(name);
  }
  return { count, names };
}

async function* unknownIn(directory: string, place: Place, path: string): AsyncGenerator<string, void> {
  for (const entry of await entriesOf(join(directory, path))) {
    const name = join(path, entry.name);
    const below = entry.isDirectory() ? place.below?.(entry.name) : undefined;
    if (below !== undefined) yield* unknownIn(directory, below, name);
    else if (!place.isOurs(entry)) yield name;
  }
}

async function entriesOf(directory: string): Promise<readonly Dirent[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    // It was removed meanwhile.
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
