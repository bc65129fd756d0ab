/**
 * Jobs that work on images in the background: one for each call, in turns, joined where they do the same, tried again, cancelled,
 * and remembered for an hour.
 *
 * It never knows what a task does with its image.
 */
export { TaskError } from './error.ts';
export type { Job } from './job.ts';
export { type ChangedJob, Jobs, type JobsOptions } from './jobs.ts';
export { retryDelay } from './retry.ts';
export type { Task } from './task.ts';
export { TransferSlots } from './transfer-slots.ts';
export { type ImageState, type JobView, type SeesRepository, summarize, type TaskView } from './view.ts';
