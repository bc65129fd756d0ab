import type { ListenerAddress } from '../server/index.ts';
import type { ReloadTarget } from './apply-config.ts';
import type { Reloader } from './reload.ts';

/** A server after its start, as its own functions see it. */
export interface RunningServer extends ReloadTarget {
  readonly version: string;
  readonly startedAt: number;
  readonly listeners: readonly ListenerAddress[];
  readonly reloader: Reloader;
  readonly cleanUp: () => Promise<void>;
  /** Whether `/readyz` reports ready. */
  readonly readiness: { isReady: boolean };
}
