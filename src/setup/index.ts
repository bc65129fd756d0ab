/**
 * Points the clients of a machine at a server: reads their files, plans a change, writes it with a backup, and undoes it.
 *
 * It never changes a file that it does not understand, never changes more of a file than it must, and never asks or prints:
 * the command line does.
 */
export { applyPlan, SetupError } from './apply.ts';
export { unifiedDiff } from './edit/index.ts';
export { type ClientInspection, hasClient, inspectClient, usesUserFiles } from './inspect.ts';
export { Machine } from './machine.ts';
export { type MachineClient, planSetup, restartCommand, type SetupPlan } from './plan/index.ts';
export { readRecord } from './record.ts';
export { applyUndo, planUndo } from './undo.ts';
