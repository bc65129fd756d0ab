import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDigest } from '../../oci/index.ts';
import { hasCode } from '../directory/index.ts';
import type { UnknownFiles } from './blob-store.ts';
import {
  INGEST_NAME,
  NAMED_NAME,
  NOTE_DRAFT_NAME,
  NOTE_NAME,
  PARTIAL_DRAFT_NAME,
  PARTIAL_NAME,
  PARTIAL_NOTE_NAME,
  QUARANTINED_NAME,
  REPOSITORY_NAME,
} from './layout.ts';

/** Names that a report lists. */
const MAX_NAMES = 10;

/** The files of the other rooms at the top of a cache directory. */
const TOP_FILES: readonly RegExp[] = [
  /^entrepot-cache\.json(?:\.[0-9a-f]{16}\.new)?$/,
  /^names(?:\.backup)?\.db(?:\.new)?(?:-wal|-shm|-journal)?$/,
  /^names\.db\.corrupt-\d{8}T\d{9}Z(?:-wal)?$/,
  /^access\.db(?:\.new|\.restored)?(?:-journal)?$/,
  /^(?:observations|pulls|webhooks)\.db(?:-wal|-shm|-journal|\.corrupt)?$/,
  /^lock(?:-journal)?$/,
  /^(?:owner|clean-stop)\.json(?:\.new)?$/,
  /^control\.sock$/,
  /^push\.key(?:\.new)?$/,
];

/** What a directory of the cache may hold. */
export interface Place {
  /** @param names of all that lies beside it */
  readonly isOurs: (entry: Dirent, names: ReadonlySet<string>) => boolean;
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

/** The directories of a blob store. */
const STORE: Readonly<Record<string, Place>> = {
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
};

/** A named file has a note beside it. */
const UPLOADS: Place = {
  isOurs: (entry, names) =>
    entry.isFile() &&
    (NOTE_NAME.test(entry.name) ||
      NOTE_DRAFT_NAME.test(entry.name) ||
      (NAMED_NAME.test(entry.name) && names.has(`${entry.name}.note`))),
};

/** The OCI layout of a hosted repository, which src/hosting/layout/ writes. */
const REPOSITORY: Place = {
  isOurs: isFileLike(/^(?:oci-layout|index\.json)$/, /^(?:oci-layout|index\.json)\.[0-9a-f]{16}\.new$/),
  below: (name) =>
    name === 'blobs'
      ? {
          isOurs: NOTHING,
          below: (algorithm) =>
            algorithm === 'sha256' || algorithm === 'sha512'
              ? { isOurs: (entry) => entry.isFile() && parseDigest(`${algorithm}:${entry.name}`) !== undefined }
              : undefined,
        }
      : undefined,
};

const HOSTED_PLACES: Readonly<Record<string, Place>> = {
  ...STORE,
  uploads: UPLOADS,
  repositories: { isOurs: NOTHING, below: (name) => (REPOSITORY_NAME.test(name) ? REPOSITORY : undefined) },
};

/** What the directory of hosted content may hold. */
export const HOSTED_TOP: Place = {
  isOurs: isFileLike(
    /^hosted(?:\.backup)?\.db(?:\.(?:rebuild|restored|snapshot))?(?:\.new)?(?:-wal|-shm|-journal)?$/,
    /^hosted\.db\.corrupt-\d{8}T\d{9}Z(?:-wal|-journal)?$/,
    /^restoring\.json(?:\.new)?$/,
  ),
  below: (name) => (Object.hasOwn(HOSTED_PLACES, name) ? HOSTED_PLACES[name] : undefined),
};

const PLACES: Readonly<Record<string, Place>> = {
  ...STORE,
  partial: { isOurs: isFileLike(PARTIAL_NAME, PARTIAL_NOTE_NAME, PARTIAL_DRAFT_NAME) },
  hosted: HOSTED_TOP,
  ca: { isOurs: isFileLike(/^ca\.(?:crt|key)$/) },
  // A folder for each ACME server.
  acme: { isOurs: NOTHING, below: () => ({ isOurs: isFileLike(/^account\.key(?:\.new)?$/, ACME_NAME) }) },
};

/** What a cache directory may hold. */
export const CACHE_TOP: Place = {
  // A volume's own directory, which every ext4 file system has at its root. A socket is no file.
  isOurs: (entry) => entry.name === 'lost+found' || TOP_FILES.some((pattern) => pattern.test(entry.name)),
  below: (name) => (Object.hasOwn(PLACES, name) ? PLACES[name] : undefined),
};

/**
 * Finds what lies in a cache directory and is none of the cache's files, by the names alone. An unknown directory counts once.
 * The cost grows with the number of blobs; a directory is read at a time.
 */
export async function findUnknownFiles(directory: string, known: Place = CACHE_TOP): Promise<UnknownFiles> {
  let count = 0;
  const names: string[] = [];
  for await (const name of unknownIn(directory, known, '')) {
    count += 1;
    if (names.length < MAX_NAMES) names.push(name);
  }
  return { count, names };
}

async function* unknownIn(directory: string, place: Place, path: string): AsyncGenerator<string, void> {
  const entries = await entriesOf(join(directory, path));
  const names = new Set(entries.map((entry) => entry.name));
  for (const entry of entries) {
    const name = join(path, entry.name);
    const below = entry.isDirectory() ? place.below?.(entry.name) : undefined;
    if (below !== undefined) yield* unknownIn(directory, below, name);
    else if (!place.isOurs(entry, names)) yield name;
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
