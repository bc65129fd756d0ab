import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';

const MEMORY = '/dev/shm';

/** Type of a tmpfs, in statfs(2). */
const TMPFS = 0x01021994;

/** Bytes that a test may need there. */
const ROOM = 1024 ** 3;

/**
 * Where a test puts databases that it only writes and reads: in memory where the machine has room there, else on the disk.
 * A database flushes at each commit, for which a disk takes many times longer than the code under test.
 *
 * Tests of blobs stay on the disk: tmpfs has no RWF_NOWAIT (preadv2(2)), by which the server reads warm blobs.
 */
export function memoryDirectory(): string {
  try {
    const { type, bavail, bsize } = statfsSync(MEMORY);
    return type === TMPFS && bavail * bsize >= ROOM ? MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}
