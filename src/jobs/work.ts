import type { Repository } from '../oci/index.ts';
import { redactText } from '../telemetry/index.ts';
import type { Job } from './job.ts';
import type { Task } from './task.ts';
import type { Entry, ImageState, TaskView } from './view.ts';

/** Characters of a message. */
const MAX_MESSAGE = 500;

/** One task that is done for one job or more. */
export class Work<Facts, Sum extends keyof Facts> implements Entry<Facts> {
  readonly task: Task<Facts>;
  readonly abort = new AbortController();
  /** The jobs that want it, the first one first. */
  readonly jobs = new Set<Job<Facts, Sum>>();
  state: ImageState = 'waiting';
  failures = 0;
  /** Set while it waits for another attempt. */
  timer: NodeJS.Timeout | undefined;
  /** Why the last attempt failed. */
  message: string | undefined;

  constructor(task: Task<Facts>) {
    this.task = task;
  }

  get key(): string {
    return this.task.key;
  }

  get repositories(): readonly Repository[] {
    return this.task.repositories;
  }

  view(): TaskView<Facts> {
    const { task, state, message } = this;
    return { ...task.facts(), state, ...(message !== undefined && { error: message }) };
  }

  failed(error: unknown): void {
    this.failures += 1;
    this.message = redactText(error instanceof Error ? error.message : String(error)).slice(0, MAX_MESSAGE);
  }
}
