import type { LiveSource } from '../../api/index.ts';
import type { RunningServer } from '../running-server.ts';

/** What clients of the API can follow besides the events of the telemetry. */
export function liveSourcesOf(_server: RunningServer): readonly LiveSource[] {
  return [];
}
