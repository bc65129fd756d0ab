import * as z from 'zod';
import type { Caller, Operation } from './operation.ts';

/** The jobs of one kind, as operations list and cancel them. */
export interface JobList<Job> {
  list(caller: Caller): Promise<readonly Job[]>;
  /** Undefined where there is no such job, or the caller may see none of its images. */
  cancel(id: string, caller: Caller): Promise<Job | undefined>;
  /** Calls `hear` for each job that has changed, once a second at most, and after its end. Returns what ends the calls. */
  onChange(hear: (change: JobChange<Job>) => void): () => void;
}

/** A job that has changed. */
export interface JobChange<Job> {
  readonly id: string;
  /** Undefined where the caller may see none of its images. */
  readonly show: (caller: Caller) => Promise<Job | undefined>;
}

interface JobKind<Job, Context> {
  /** `warm`: the operations are `warm/jobs` and `warm/cancel`. */
  readonly name: string;
  readonly job: z.ZodType<Job>;
  /** Of the list, and of the end. */
  readonly summaries: readonly [list: string, cancel: string];
  readonly jobsOf: (context: Context) => JobList<Job>;
}

/** What every kind of job has: its list, and its end. */
export function jobOperations<Job, Context>({ name, job, summaries, jobsOf }: JobKind<Job, Context>) {
  const [listed, ended] = summaries;
  const jobs = z.object({ jobs: z.array(job).readonly().describe('The newest first; ended ones stay for an hour.') });
  const cancelled = z.object({ job: job.exactOptional() });
  const list: Operation<object, z.infer<typeof jobs>, Context> = {
    name: `${name}/jobs`,
    summary: listed,
    action: 'status',
    changes: false,
    input: z.object({}),
    answer: jobs,
    handle: async (_, context, caller) => ({ jobs: await jobsOf(context).list(caller) }),
  };
  const cancel: Operation<{ id: string }, z.infer<typeof cancelled>, Context> = {
    name: `${name}/cancel`,
    summary: ended,
    action: 'admin',
    changes: true,
    input: z.object({ id: z.string().max(100) }),
    answer: cancelled,
    async handle({ id }, context, caller) {
      const found = await jobsOf(context).cancel(id, caller);
      return found === undefined ? {} : { job: found };
    },
  };
  return { list, cancel };
}
