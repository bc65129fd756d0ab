import { OPERATIONS, type ScheduleEntry, type ScheduleRunAnswer, type SchedulesAnswer } from '../../../admin/index.ts';
import type { CommandOptions } from '../../command.ts';
import { EXIT } from '../../exit-code.ts';
import { count, formatJson, formatTable } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { clean } from './image-bars.ts';

const WHERE_OFF = 'The cache is off, so no schedule runs. Set cache.dir.';

/** `entrepot schedules list`. */
export function listSchedules({ flags, json }: CommandOptions, output: Output = processOutput): Promise<number> {
  return runServerCommand(
    {
      flags,
      operation: OPERATIONS.schedules,
      input: {},
      whereOff: WHERE_OFF,
      show(answer) {
        output.out(json ? formatJson(answer) : formatSchedules(answer));
        return EXIT.ok;
      },
    },
    output,
  );
}

/** `entrepot schedules run NAME`. It does not wait for the end of the run. */
export function runSchedule(
  { flags, json, name }: CommandOptions & { readonly name: string },
  output: Output = processOutput,
): Promise<number> {
  return runServerCommand(
    {
      flags,
      operation: OPERATIONS.scheduleRun,
      input: { name },
      whereOff: WHERE_OFF,
      show(answer) {
        output.out(json ? formatJson(answer) : formatBegun(answer));
        return EXIT.ok;
      },
    },
    output,
  );
}

export function formatSchedules({ schedules }: SchedulesAnswer): string {
  if (schedules.length === 0)
    return 'There are no schedules. They are configured under warm and copy: docs/carrying.md.\n';
  const rows = schedules.map((entry) => [
    clean(entry.name),
    entry.kind,
    clean(entry.timeZone === undefined ? entry.schedule : `${entry.schedule} ${entry.timeZone}`),
    String(entry.imageCount),
    entry.running === undefined ? formatTime(entry.nextAt) : 'runs now',
    formatTime(entry.last?.endedAt),
    entry.last === undefined ? '' : resultOf(entry.last),
  ]);
  const head = ['NAME', 'KIND', 'SCHEDULE', 'IMAGES', 'NEXT RUN', 'LAST RUN', 'RESULT'];
  const errors = schedules.flatMap(({ name, last }) =>
    (last?.errors ?? []).map(({ image, error }) => clean(`${name}: ${image === '' ? '' : `${image}: `}${error}`)),
  );
  return `${[...formatTable([head, ...rows]), ...errors].join('\n')}\n`;
}

function resultOf({ outcome, done, failed }: NonNullable<ScheduleEntry['last']>): string {
  return outcome === 'failed' ? `failed: ${failed} of ${count(done + failed, 'image')}` : outcome;
}

function formatBegun({ schedule: { name, kind, running }, started }: ScheduleRunAnswer): string {
  const job = running?.job === undefined ? '' : `, job ${running.job}`;
  const what = started ? 'runs now' : 'runs already';
  return `${clean(name)} ${what}${job}. \`entrepot ${kind}\` shows how far it is.\n`;
}

/** `2026-11-29 11:20:04`, in UTC as the log has it; `-` where there is none. @param time milliseconds since 1970 */
function formatTime(time: number | undefined): string {
  return time === undefined ? '-' : new Date(time).toISOString().slice(0, 19).replace('T', ' ');
}
