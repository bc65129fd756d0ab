import { type CopyJob, callControl, controlSocketPath, OPERATIONS } from '../../../admin/index.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import { formatCopied, formatCopyChange, formatCopyJobs } from './copy-progress.ts';
import { JobFollower, type JobKind, type JobOptions, type JobSurroundings, showJobs } from './follow-jobs.ts';

/** The options of `entrepot copy`. */
export interface CopyOptions extends JobOptions {
  readonly source: string | undefined;
  readonly destination: string | undefined;
  readonly platform?: readonly string[];
  readonly allTags?: boolean;
}

const COPY: JobKind<CopyJob> = {
  command: 'copy',
  list: OPERATIONS.copyJobs,
  cancel: OPERATIONS.copyCancel,
  moved: 'sent',
  movedOf: ({ sent }) => sent,
  formatChange: formatCopyChange,
  formatJobs: formatCopyJobs,
};

/**
 * `entrepot copy`: has the running server copy images, and shows how far it has come. The server goes on where the command is interrupted;
 * where the server restarts, the command asks it again.
 *
 * @returns the exit code: failure where an image failed
 */
export async function copy(options: CopyOptions, surroundings: JobSurroundings = {}): Promise<number> {
  const { output = processOutput, interrupt } = surroundings;
  const { flags, json = false, stop = false, source, destination, allTags = false, platform = [] } = options;
  if (stop || source === undefined) return showJobs(COPY, options, output);
  if (destination === undefined) {
    output.err('error: name where it goes: entrepot copy SOURCE DESTINATION\n');
    return EXIT.usage;
  }
  const input = { from: source, to: destination, platforms: platform, allTags };
  const operation = OPERATIONS.copy;
  return withInterrupt(interrupt, (signal) => {
    const show = async (started: CopyJob, dir: string): Promise<number> => {
      const again = (): Promise<CopyJob> => callControl(controlSocketPath(dir), operation, { input, signal });
      const follower = new JobFollower(COPY, { options, surroundings, output, dir, signal });
      const [job] = (await follower.follow({ job: started, again })) ?? [];
      if (job === undefined) return EXIT.interrupted;
      output.out(json ? formatJson({ job }) : formatCopied(job));
      return job.counts.failed + job.counts.cancelled === 0 ? EXIT.ok : EXIT.failure;
    };
    return runServerCommand({ flags, operation, input, show }, output);
  });
}
