import { controlSocketPath, createControl, OPERATIONS, UPLOADS } from '../../admin/index.ts';
import type { RunningServer } from '../running-server.ts';
import { operationContextOf } from './context.ts';

/** The control socket lies in the cache directory; without a cache there is none. */
export async function openControl(server: RunningServer): Promise<void> {
  const { live, parts } = server;
  const { config } = live.current;
  // Also where the HTTP API alone uses it: what it counts begins with the server.
  const context = operationContextOf(server);
  if (config.cache === 'off') return;
  const control = createControl({
    path: controlSocketPath(config.cache.dir),
    operations: Object.values(OPERATIONS),
    uploads: Object.values(UPLOADS),
    context,
  });
  parts.cleanups.push(() => control.close());
  await control.start();
}
