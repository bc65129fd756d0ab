import { OPERATOR } from '../../admin/index.ts';
import type { LiveSource } from '../../api/index.ts';
import type { RunningServer } from '../running-server.ts';
import { operationContextOf } from './context.ts';

/** What clients of the API can follow besides the events of the telemetry. */
export function liveSourcesOf(server: RunningServer): readonly LiveSource[] {
  const { recorder } = server.parts.recording;
  const { warm } = operationContextOf(server);
  return [
    (publish) =>
      warm.onChange(({ show }) => {
        // Each stream takes out what its client may not see.
        void show(OPERATOR).then((data) => {
          if (data !== undefined) publish({ kind: 'warm', data });
          return data;
        });
      }),
    (publish) => recorder.on('pull', (data) => publish({ kind: 'pull', data })),
    (publish) => recorder.on('rates', (data) => publish({ kind: 'rates', data })),
  ];
}
