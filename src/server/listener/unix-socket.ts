import { chmod, lstat, stat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';

/** A live server answers within this, however busy: its kernel accepts for it. */
const PROBE_TIMEOUT_MS = 1000;

/**
 * Makes a path free for a Unix socket: a stale socket, on which no process listens, is removed, because `bind` would fail.
 *
 * Throws a system error with the code EADDRINUSE where a server answers there, EEXIST where the path is not a socket (a file
 * of another kind is never removed), ENOENT where its directory is missing.
 */
async function claimSocketPath(path: string): Promise<void> {
  // For a missing directory, libuv reports EACCES when it binds, which would mislead the operator.
  await stat(dirname(path));
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw systemError('EEXIST', `${path} is there already and is no socket`);
  if (await isAnswered(path)) throw systemError('EADDRINUSE', `a server listens on ${path} already`);
  await unlink(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

/** Binds a server to a path with the mode, so that no other user can connect even in the moment after `bind`. */
export async function listenOnSocketPath(
  server: Server,
  path: string,
  { mode, backlog }: { mode: number; backlog: number },
): Promise<void> {
  await claimSocketPath(path);
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
  // bind() runs synchronously within listen(), so the umask applies to this one file and no other.
  const umask = process.umask(0o777 & ~mode);
  try {
    server.listen({ path, backlog });
  } finally {
    process.umask(umask);
  }
  await listening;
  await chmod(path, mode);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const answer = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.setTimeout(PROBE_TIMEOUT_MS, () => answer(true));
    socket.once('connect', () => answer(true));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      answer(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

function systemError(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(message), { code });
}
