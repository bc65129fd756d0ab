import { open, rm } from 'node:fs/promises';
import type { Workspace } from '../../test/support/processes.ts';

/** The client holds the blob too, to compare it: in memory that it has just been given. */
const TIMES = 3;

/**
 * Writes a throw-away file, larger than a blob, and removes it, so that the kernel has pages at hand for what is measured next.
 *
 * @param blob bytes of the blob that is pulled next
 *
 * In a virtual machine, the first use of a page costs the host a fault: 2 to 3 s/GiB on some, counted as CPU time of the server that
 * writes first. The kernel gives pages back to the host some seconds after they became free, so this is done again each time.
 */
export async function warmPageCache(workspace: Workspace, blob: number): Promise<void> {
  const path = workspace.path('throw-away');
  const piece = Buffer.alloc(1024 * 1024, 'entrepot');
  const file = await open(path, 'w');
  try {
    for (let written = 0; written < blob * TIMES; written += piece.length) await file.write(piece);
  } finally {
    await file.close();
    await rm(path);
  }
}
