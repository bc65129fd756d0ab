import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The path of a Unix socket has 108 bytes on Linux and 104 on macOS, the final zero byte included (unix(7)). */
const MAX_PATH_BYTES = 100;

/**
 * The control socket of the server on a cache directory: `control.sock` in it, or, where that path is too long for a
 * socket, a file in the temporary directory named by the hash of the path. The server and its commands must then have the
 * same TMPDIR.
 */
export function controlSocketPath(directory: string): string {
  const absolute = resolve(directory);
  const path = join(absolute, 'control.sock');
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return path;
  const name = createHash('sha256').update(absolute).digest('hex').slice(0, 32);
  return join(tmpdir(), `entrepot-${name}.sock`);
}
