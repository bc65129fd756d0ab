import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Digest, type DigestAlgorithm, digestAlgorithm, digestHex } from '../../oci/index.ts';

/** The names of growing files. A file of another name in their directory is not this program's. */
export const INGEST_NAME = /^[0-9a-f]{32}$/;

/** The names of growing files that survive a restart, of their notes, and of notes that were not finished. */
export const NAMED_NAME = /^[a-z0-9-]{1,64}$/;
export const NOTE_NAME = /^([a-z0-9-]{1,64})\.note$/;
export const NOTE_DRAFT_NAME = /^([a-z0-9-]{1,64})\.note\.[0-9a-f]{16}\.new$/;

/** The names of partial content, of its notes, and of notes that were not finished. In their directory all of these are this program's. */
export const PARTIAL_NAME = /^sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{128})$/;
export const PARTIAL_NOTE_NAME = /^(sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{128}))\.note$/;
export const PARTIAL_DRAFT_NAME = /^(sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{128}))\.note\.[0-9a-f]{16}\.new$/;

/**
 * The names of the directories of hosted repositories' OCI layouts: one below the other for none, so that `a/blobs` never meets the
 * `blobs/` of `a`. They are made in src/hosting/layout/.
 */
export const REPOSITORY_NAME = /^(?=.{1,255}$)(?!\.)(?:[a-z0-9._-]|\+[0-9A-F]{2})+(?:\+h[0-9a-f]{64})?$/;

/** The names of quarantined files. */
export const QUARANTINED_NAME = /^sha(?:256-[0-9a-f]{64}|512-[0-9a-f]{128})\.[0-9a-f]{8}$/;

/** The paths below a cache directory. */
export type Layout = ReturnType<typeof layoutOf>;

/*
 *   <directory>/
 *   ├── blobs/
 *   │   ├── sha256/
 *   │   │   └── 3f/              the first two characters: 256 directories, each a 256th of the store
 *   │   │       └── 3f786850…    one blob: whole, verified, read-only, never changed
 *   │   └── sha512/…
 *   ├── ingest/
 *   │   └── 9c1d03b2…            growing, under a random name; a start removes the files a killed process left here
 *   ├── partial/                 made when it is needed
 *   │   ├── sha256-3f786850…         what has come of a blob whose transfer ended early, with gaps
 *   │   └── sha256-3f786850….note    which bytes those are
 *   ├── quarantine/
 *   │   └── sha256-3f786850….5e2a91c0    a corrupt blob; the latest few are kept for inspection
 *   └── foreign/                 made when it is needed
 *       └── sha256-3f786850….5e2a91c0    what lay in a blob's place and was no file; never deleted
 *
 * A store of hosted content has besides:
 *
 *   <directory>/
 *   └── uploads/                 growing files that survive a restart
 *       ├── 6f1c…                under the name that its caller gave
 *       └── 6f1c….note           the caller's note; a file without one is not this program's
 *
 * All on one file system, so that publishing is a rename. Every path of the store is built here, and the only external
 * text in one is a Digest, whose form has been checked: a path cannot lead elsewhere.
 */
export function layoutOf(directory: string) {
  const blobs = join(directory, 'blobs');
  const ingest = join(directory, 'ingest');
  const uploads = join(directory, 'uploads');
  const partial = join(directory, 'partial');
  const quarantine = join(directory, 'quarantine');
  const foreign = join(directory, 'foreign');
  const algorithm = (name: DigestAlgorithm): string => join(blobs, name);
  const shard = (digest: Digest): string => join(algorithm(digestAlgorithm(digest)), digestHex(digest).slice(0, 2));
  const aside = (digest: Digest): string =>
    `${digestAlgorithm(digest)}-${digestHex(digest)}.${randomBytes(4).toString('hex')}`;
  return {
    blobs,
    ingest,
    uploads,
    partial,
    quarantine,
    foreign,
    algorithm,
    shard,
    blob: (digest: Digest): string => join(shard(digest), digestHex(digest)),
    partialName: (digest: Digest): string => `${digestAlgorithm(digest)}-${digestHex(digest)}`,
    newIngest: (): string => join(ingest, randomBytes(16).toString('hex')),
    newQuarantined: (digest: Digest): string => join(quarantine, aside(digest)),
    newForeign: (digest: Digest): string => join(foreign, aside(digest)),
  };
}
