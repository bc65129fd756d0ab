import type { LiveSource } from '../../api/index.ts';
import type { RunningServer } from '../running-server.ts';

/** What clients of the API can follow besides the events of the telemetry. */
export function liveSourcesOf({ parts }: RunningServer): readonly LiveSource[] {
  const { recorder } = parts.recording;
  return [
    (publish) => recorder.on('pull', (data) => publish({ kind: 'pull', data })),
    (publish) => recorder.on('rates', (data) => publish({ kind: 'rates', data })),
  ];
}
