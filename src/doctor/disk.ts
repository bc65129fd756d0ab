import { access, constants } from 'node:fs/promises';
import { floorOf, type MinFree } from '../cache/index.ts';
import { freeSpace } from '../store/index.ts';
import { formatBytes } from '../telemetry/index.ts';
import { type Finding, failed, ok, skipped, warning } from './finding.ts';

interface DiskOptions {
  readonly minFree: MinFree | undefined;
  /** A running server writes there itself, perhaps as another user than the one of this command. */
  readonly isRunning: boolean;
}

/** Whether the cache directory can be used, and has room. It writes nothing. */
export async function diskFindings(dir: string, { minFree, isRunning }: DiskOptions): Promise<readonly Finding[]> {
  const about = { id: 'disk.directory', what: dir } as const;
  try {
    await access(dir, isRunning ? constants.F_OK : constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT')
      return [skipped({ ...about, found: 'is not there; the first start of the server creates it' })];
    const found = code === 'EROFS' ? 'is on a read-only file system' : 'cannot be written by this user';
    return [
      failed(
        { ...about, found },
        'Run this command as the user of the server; if it is that user, `chown` the directory to it, or set another cache.dir.',
      ),
    ];
  }
  const { free, total } = await freeSpace(dir);
  const floor = floorOf(minFree, total);
  return [ok({ ...about, found: 'is there' }), spaceFinding(dir, { free, total, floor })];
}

/** Bytes. */
interface Space {
  readonly free: number;
  readonly total: number;
  /** What the server keeps free. */
  readonly floor: number;
}

export function spaceFinding(what: string, { free, total, floor }: Space): Finding {
  const found = `${formatBytes(free)} of ${formatBytes(total)} free; the server keeps ${formatBytes(floor)} free`;
  const about = { id: 'disk.space', what, found } as const;
  const remedy =
    'Make room on this disk, or set cache.max_size so that the cache leaves room for others; `entrepot gc --dry-run` shows what it would evict.';
  if (free < floor / 2) return failed(about, remedy);
  return free < floor ? warning(about, remedy) : ok(about);
}
