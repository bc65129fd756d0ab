/** Why the task of a job failed, where no upstream is to blame. */
export class TaskError extends Error {
  override readonly name = 'TaskError';
  /** Whether another attempt may succeed. */
  readonly isPassing: boolean;

  constructor(message: string, { isPassing }: { readonly isPassing: boolean }) {
    super(message);
    this.isPassing = isPassing;
  }
}
