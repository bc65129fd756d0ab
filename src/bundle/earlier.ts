import { type FileHandle, open } from 'node:fs/promises';
import { parseBoundedJson } from '../lib/index.ts';
import type { Digest } from '../oci/index.ts';
import { BundleError } from './error.ts';
import { DELTA_FILE, digestOfPath, INDEX_FILE, MAX_FILE_BYTES, parseDelta } from './layout.ts';
import { BLOCK, readHeader, readPax } from './tar-header.ts';

const MAX_ENTRIES = 1_000_000;
const MAX_PAX = 64 * 1024;

/**
 * The blobs that a site has after it has imported a bundle: those in it, and of a delta those that it leaves out. Only headers are read, and no
 * blob.
 *
 * @throws {BundleError} where it is no bundle
 */
export async function blobsOfBundle(file: string): Promise<ReadonlySet<Digest>> {
  let handle: FileHandle;
  try {
    handle = await open(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new BundleError(`${file}: ${code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`}`);
  }
  try {
    return await readDigests(handle);
  } catch (error) {
    throw error instanceof BundleError ? new BundleError(`${file}: ${error.message}`, { cause: error }) : error;
  } finally {
    await handle.close();
  }
}

async function readDigests(handle: FileHandle): Promise<ReadonlySet<Digest>> {
  const digests = new Set<Digest>();
  let position = 0;
  let hasIndex = false;
  let over: { path?: string; size?: number } = {};
  for (let entries = 0; entries < MAX_ENTRIES; entries += 1) {
    const header = readHeader(await readAt(handle, position, BLOCK));
    position += BLOCK;
    if (header === undefined) {
      if (!hasIndex) throw new BundleError(`it has no ${INDEX_FILE}, expected a bundle`);
      return digests;
    }
    const isFile = header.kind === 'file';
    const size = isFile ? (over.size ?? header.size) : header.size;
    const path = (over.path ?? header.path).replace(/^\.\//, '');
    if (header.kind === 'pax') {
      if (size > MAX_PAX) throw new BundleError(`a header of it has more than ${MAX_PAX / 1024} KiB`);
      over = readPax(await readAt(handle, position, size));
    } else {
      over = {};
      const digest = isFile ? digestOfPath(path) : undefined;
      if (digest !== undefined) digests.add(digest);
      hasIndex ||= path === INDEX_FILE;
      if (path === DELTA_FILE) for (const each of await readDelta(handle, position, size)) digests.add(each);
    }
    position += size + ((BLOCK - (size % BLOCK)) % BLOCK);
  }
  throw new BundleError(`it has more than ${MAX_ENTRIES} entries`);
}

async function readDelta(handle: FileHandle, position: number, size: number): Promise<readonly Digest[]> {
  if (size > MAX_FILE_BYTES) throw new BundleError(`its ${DELTA_FILE} has more than ${MAX_FILE_BYTES} bytes`);
  return parseDelta(parseFile(await readAt(handle, position, size), DELTA_FILE));
}

/** @throws {BundleError} */
export function parseFile(content: Buffer, name: string): unknown {
  try {
    return parseBoundedJson(content);
  } catch (cause) {
    throw new BundleError(`its ${name} is not JSON; copy or export it again`, { cause });
  }
}

async function readAt(handle: FileHandle, position: number, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  for (let filled = 0; filled < size; ) {
    const { bytesRead } = await handle.read(bytes, filled, size - filled, position + filled);
    if (bytesRead === 0) throw new BundleError('it ends before the end of a tar archive; copy it again');
    filled += bytesRead;
  }
  return bytes;
}
