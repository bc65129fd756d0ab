import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { check } from './processes.ts';

/**
 * Mounts a disk of so many bytes, in memory, until the test has ended.
 *
 * @returns its directory; undefined where none can be mounted: the test is then skipped, and has to return
 */
export async function mountSmallDisk(t: TestContext, bytes: number): Promise<string | undefined> {
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-small-'));
  try {
    await check(['mount', '-t', 'tmpfs', '-o', `size=${bytes},mode=0700`, 'tmpfs', dir]);
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    t.skip(`a small disk cannot be mounted here: ${(error as Error).message}`);
    return undefined;
  }
  t.after(async () => {
    await check(['umount', '-l', dir]);
    await rm(dir, { recursive: true, force: true });
  });
  return dir;
}
