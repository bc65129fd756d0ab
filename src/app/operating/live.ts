import { type Caller, type JobList, type LiveEvent, OPERATOR, type OperationContext } from '../../admin/index.ts';
import type { LiveSource } from '../../api/index.ts';
import type { RunningServer } from '../running-server.ts';

/** What clients of the API can follow besides the events of the telemetry. What each of them may see of it is decided there. */
export function liveSourcesOf(
  { parts: { recording, telemetry } }: RunningServer,
  { warm, copy }: Pick<OperationContext, 'warm' | 'copy'>,
): readonly LiveSource[] {
  const { recorder } = recording;
  /** A job's images are many, and its sums are of all of them: each client gets those of what it may see. */
  function jobsOf<Job>(jobs: JobList<Job>, eventOf: (data: Job) => LiveEvent): LiveSource {
    return (publish) =>
      jobs.onChange(({ id, show }) => {
        const shownTo = async (caller: Caller): Promise<LiveEvent | undefined> => {
          const data = await show(caller);
          return data === undefined ? undefined : eventOf(data);
        };
        const tell = async (): Promise<void> => {
          const event = await shownTo(OPERATOR);
          if (event !== undefined) publish(event, shownTo);
        };
        tell().catch((error: unknown) =>
          telemetry.publish('warning', { message: `Cannot tell of the progress of ${id}`, error }),
        );
      });
  }
  return [
    (publish) => recorder.on('pull', (data) => publish({ kind: 'pull', data })),
    (publish) => recorder.on('rates', (data) => publish({ kind: 'rates', data })),
    jobsOf(warm, (data) => ({ kind: 'warm', data })),
    jobsOf(copy, (data) => ({ kind: 'copy', data })),
  ];
}
