import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, linkSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseDigest } from '../../src/oci/index.ts';
import { layoutOf } from '../../src/store/blobs/layout.ts';
import { STATEMENTS } from '../../src/store/metadata/schema.ts';

/**
 * Adds blobs to the cache of a server that does not run: for each a row that counts it, a row that says whose it is, and a
 * name in the right directory. The files are sparse, and those of one size are one file under many names, so that a million
 * are there in a minute: rows, names and directories are as many and as large as in a cache that was pulled, inodes and bytes
 * are not. The bytes are not those of the digests, and no client asks for them.
 *
 * @param count how many there are then
 * @param options.from how many there are already @default 0
 */
export function fillCache(dir: string, count: number, { from = 0 }: { readonly from?: number } = {}): void {
  const layout = layoutOf(dir);
  const database = new DatabaseSync(join(dir, 'names.db'));
  try {
    const putBlob = database.prepare(STATEMENTS.putBlob);
    const putMember = database.prepare(STATEMENTS.putMember);
    // The rows come in no order of the digests: without room for all of the tree, each is a page read and a page written.
    database.exec('PRAGMA cache_size = -1048576');
    const folders = new Set<string>();
    const files = new Map<number, string>();
    database.exec('BEGIN IMMEDIATE');
    for (let i = from; i < count; i++) {
      const text = `sha256:${createHash('sha256').update(`filler ${i}`).digest('hex')}`;
      const digest = parseDigest(text);
      if (digest === undefined) throw new TypeError(`${text} is no digest`);
      const size = 1024 * (1 + (i % 1024));
      putBlob.run(digest, size, 'mirrored', Date.now() - i, null);
      putMember.run(
        'origin',
        `library/filler-${i % 1000}`,
        digest,
        'blob',
        'application/octet-stream',
        size,
        'public',
        0,
      );
      const path = layout.blob(digest);
      const folder = dirname(path);
      if (!folders.has(folder)) {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        folders.add(folder);
      }
      const same = files.get(size);
      if (same === undefined) {
        createSparse(path, size);
        files.set(size, path);
      } else {
        linkSync(same, path);
      }
    }
    database.exec('COMMIT');
  } finally {
    database.close();
  }
}

function createSparse(path: string, size: number): void {
  const file = openSync(path, 'w', 0o400);
  ftruncateSync(file, size);
  closeSync(file);
}
