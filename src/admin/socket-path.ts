import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** A Unix socket's path fits in 108 bytes on Linux and 104 on macOS, the ending zero included. */
const MAX_PATH_BYTES = 100;

/**
 * Where the server of a cache directory is controlled: `control.sock` in it, or, where that path is too long for a
 * socket, one in the directory for temporary files whose name follows from the directory's. Pure but for the system's
 * temporary directory: the server and its commands must see the same TMPDIR.
 */
export function controlSocketPath(directory: string): string {
  const absolute = resolve(directory);
  const path = join(absolute, 'control.sock');
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return path;
  const name = createHash('sha256').update(absolute).digest('hex').slice(0, 32);
  return join(tmpdir(), `entrepot-${name}.sock`);
}
