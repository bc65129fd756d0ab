/**
 * What is done by a schedule: when it is due, one run at a time, and what became of the last one.
 *
 * It never does the work itself, never makes up for more than one missed run, and never waits for one when the server stops.
 */
export { openRecordFile, scheduleFile } from './record-file.ts';
export type { RunError, RunOutcome, RunRecord, ScheduleSpec, ScheduleState } from './schedule.ts';
export { type RunningWork, Schedules, type SchedulesOptions, type WorkResult } from './schedules.ts';
export type { Recurrence } from './times.ts';
