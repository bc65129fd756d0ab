import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseDigest } from '../../src/oci/index.ts';
import { layoutOf } from '../../src/store/layout.ts';
import { STATEMENTS } from '../../src/store/names-schema.ts';

/**
 * Adds blobs to the cache of a server that does not run: for each a row that counts it, a row that says whose it is, and a
 * file, which is sparse and therefore takes no room. The bytes are not those of the digests, and nobody asks for them.
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
    const folders = new Set<string>();
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
      const file = openSync(path, 'w', 0o400);
      ftruncateSync(file, size);
      closeSync(file);
    }
    database.exec('COMMIT');
  } finally {
    database.close();
  }
}
