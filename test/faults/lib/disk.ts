import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Content } from '../../support/image.ts';

/** Where a blob lies in a cache directory. */
export function blobPath(dir: string, { digest }: Pick<Content, 'digest'>): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return join(dir, 'blobs', algorithm, hex.slice(0, 2), hex);
}

/** Names of unfinished transfers. */
export async function leftOver(dir: string): Promise<readonly string[]> {
  return existsSync(join(dir, 'ingest')) ? await readdir(join(dir, 'ingest')) : [];
}

/** True where the blob is stored and right, false where it is stored and wrong, undefined where it is not there. */
export async function isStoredRight(dir: string, blob: Content): Promise<boolean | undefined> {
  try {
    const bytes = await readFile(blobPath(dir, blob));
    return `sha256:${createHash('sha256').update(bytes).digest('hex')}` === blob.digest;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    return false;
  }
}

/** Waits until the blob is stored and right: a client may have its last byte before the file has its name. */
export async function becomesStored(dir: string, blob: Content, { within = 3000 } = {}): Promise<boolean> {
  const deadline = Date.now() + within;
  while ((await isStoredRight(dir, blob)) !== true) {
    if (Date.now() > deadline) return false;
    await sleep(10);
  }
  return true;
}

/** Waits until no transfer is unfinished; false where some still are. */
export async function becomesTidy(dir: string, { within = 3000 } = {}): Promise<boolean> {
  const deadline = Date.now() + within;
  while ((await leftOver(dir)).length > 0) {
    if (Date.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

/** Digests of stored files of which the metadata database knows nothing: room that is not counted. */
export async function orphans(dir: string): Promise<readonly string[]> {
  const root = join(dir, 'blobs', 'sha256');
  const files: string[] = [];
  for (const shard of existsSync(root) ? await readdir(root) : []) {
    for (const name of await readdir(join(root, shard))) files.push(`sha256:${name}`);
  }
  const database = new DatabaseSync(join(dir, 'names.db'), { readOnly: true });
  try {
    const known = new Set(
      database
        .prepare('SELECT digest FROM blobs')
        .all()
        .map((row) => String(row['digest'])),
    );
    return files.filter((digest) => !known.has(digest));
  } finally {
    database.close();
  }
}

/** Waits until every stored file has its row; the digests of those that still have none. */
export async function becomesCounted(dir: string, { within = 3000 } = {}): Promise<readonly string[]> {
  const deadline = Date.now() + within;
  for (;;) {
    const files = await orphans(dir);
    if (files.length === 0 || Date.now() > deadline) return files;
    await sleep(50);
  }
}
