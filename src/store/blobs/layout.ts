import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type Digest, type DigestAlgorithm, digestAlgorithm, digestHex } from '../../oci/index.ts';

/** Where each thing lies below a cache directory. */
export interface Layout {
  readonly directory: string;
  readonly blobs: string;
  readonly ingest: string;
  readonly quarantine: string;
  algorithm(algorithm: DigestAlgorithm): string;
  shard(digest: Digest): string;
  blob(digest: Digest): string;
  /** A name that nothing has. */
  newIngest(): string;
  /** A name that nothing has. */
  newQuarantined(digest: Digest): string;
}

/*
 *   <directory>/
 *   ├── blobs/
 *   │   ├── sha256/
 *   │   │   └── 3f/              the first two characters: 256 directories, each a 256th of the store
 *   │   │       └── 3f786850…    one blob: whole, verified, read-only, never changed
 *   │   └── sha512/…
 *   ├── ingest/
 *   │   └── 9c1d03b2…            growing, under a random name; whatever a start finds here is left over and removed
 *   └── quarantine/
 *       └── sha256-3f786850….5e2a91c0    found to be wrong; the latest few are kept for whoever looks into it
 *
 * All on one file system, so that publishing is a rename. Every path of the store is built here, and the only foreign
 * text in one is a Digest, whose form has been checked: it cannot lead elsewhere.
 */
export function layoutOf(directory: string): Layout {
  const blobs = join(directory, 'blobs');
  const ingest = join(directory, 'ingest');
  const quarantine = join(directory, 'quarantine');
  const algorithm = (name: DigestAlgorithm) => join(blobs, name);
  const shard = (digest: Digest) => join(algorithm(digestAlgorithm(digest)), digestHex(digest).slice(0, 2));
  return {
    directory,
    blobs,
    ingest,
    quarantine,
    algorithm,
    shard,
    blob: (digest) => join(shard(digest), digestHex(digest)),
    newIngest: () => join(ingest, randomBytes(16).toString('hex')),
    newQuarantined: (digest) =>
      join(quarantine, `${digestAlgorithm(digest)}-${digestHex(digest)}.${randomBytes(4).toString('hex')}`),
  };
}
