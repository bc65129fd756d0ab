import type { Repository } from '../oci/index.ts';

/** What a job does with one image. `Facts`: what its progress says, as an answer shows it. */
export interface Task<Facts> {
  /** Equal for tasks that do the same: they are done once, for all jobs that want them. */
  readonly key: string;
  /** A caller sees the task who sees all of them. At least one. */
  readonly repositories: readonly Repository[];
  /**
   * Does all of it; called again after a failure that another attempt may get over.
   *
   * Rejects with the failure of an upstream, an `OciError`, a `TaskError`, or the signal's reason.
   */
  run(signal: AbortSignal): Promise<void>;
  /** How far it is. */
  facts(): Facts;
  /** A number that grows with what is done. */
  mark(): number;
}
