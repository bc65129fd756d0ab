/**
 * What a client's files should say on a machine, and what has to change for it: a file for each client, with its traps.
 *
 * It reads files, and never writes one.
 */
export { type MachineClient, PLANNERS, type PlannedFile, planSetup, restartCommand, type SetupPlan } from './plan.ts';
export type { FoundFile, FoundMirror } from './wanted.ts';
