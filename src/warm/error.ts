import { TaskError } from '../jobs/index.ts';

/** Nothing is kept for a while. */
export function paused(reason: string): TaskError {
  return new TaskError(`the cache keeps nothing now: ${reason}`, { isPassing: true });
}
