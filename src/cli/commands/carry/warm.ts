import {
  callControl,
  controlSocketPath,
  OPERATIONS,
  type RefusedImage,
  type WarmInput,
  type WarmJob,
  type WarmStarted,
} from '../../../admin/index.ts';
import { reportErrors } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { withInterrupt } from '../../interrupt.ts';
import { processOutput } from '../../output.ts';
import { runServerCommand } from '../../server-command.ts';
import {
  type FollowOptions,
  JobFollower,
  type JobKind,
  type JobOptions,
  type JobSurroundings,
  showJobs,
} from './follow-jobs.ts';
import { type FilePlaces, type ImageOptions, readImageNames } from './image-names.ts';
import { formatChange, formatJobs, formatSummary, summarize } from './warm-progress.ts';

/** The options of `entrepot warm`. */
export interface WarmOptions extends JobOptions, ImageOptions {
  readonly platform?: readonly string[];
}

export interface WarmSurroundings extends JobSurroundings, FilePlaces {}

/** Images of one job: a job lists a hundred of its images, and an operation takes a thousand. */
const JOB_IMAGES = 100;
const MAX_JOB_IMAGES = 1000;
/** Jobs of one command. A server runs a hundred at once. */
const MAX_JOBS = 20;
/** Bytes of the names in one call, below what a control socket takes. */
const MAX_CALL_BYTES = 48 * 1024;

const WARM: JobKind<WarmJob> = {
  command: 'warm',
  list: OPERATIONS.warmJobs,
  cancel: OPERATIONS.warmCancel,
  moved: 'fetched',
  movedOf: ({ fetched }) => fetched,
  formatChange,
  formatJobs,
};

/**
 * `entrepot warm`: has the running server fetch images into its cache, and shows how far it has come. The server goes on where the command
 * is interrupted; where the server restarts, the command asks it again for what is left.
 *
 * @returns the exit code: failure where an image failed
 */
export async function warm(options: WarmOptions, surroundings: WarmSurroundings = {}): Promise<number> {
  const { output = processOutput, interrupt } = surroundings;
  const { flags, stop = false, images, from = [], platform: platforms = [] } = options;
  if (stop || (images.length === 0 && from.length === 0)) return showJobs(WARM, options, output);
  return withInterrupt(interrupt, (signal) =>
    reportErrors(output, async () => {
      const names = await readImageNames({ images, from }, output, surroundings);
      const inputOf = (some: readonly string[]): WarmInput => ({ images: some, platforms, partial: true });
      const [first = [], ...others] = callsOf(names);
      const inputs = { first: inputOf(first), others: others.map(inputOf) };
      const follow = { options, surroundings, output, signal };
      return await runServerCommand(
        {
          flags,
          operation: OPERATIONS.warm,
          input: inputs.first,
          show: (started, dir) => followAll(started, inputs, { ...follow, dir }),
        },
        output,
      );
    }),
  );
}

/** The images of each call. */
function callsOf(images: readonly string[]): readonly (readonly string[])[] {
  const size = Math.min(MAX_JOB_IMAGES, Math.max(JOB_IMAGES, Math.ceil(images.length / MAX_JOBS)));
  const calls: string[][] = [];
  let bytes = 0;
  for (const image of images) {
    const more = Buffer.byteLength(JSON.stringify(image)) + 1;
    const last = calls.at(-1);
    if (last === undefined || last.length >= size || bytes + more > MAX_CALL_BYTES) {
      calls.push([image]);
      bytes = more;
    } else {
      last.push(image);
      bytes += more;
    }
  }
  return calls;
}

/** Follows the job of the first call, and begins and follows those of the others. @returns the exit code */
async function followAll(
  started: WarmStarted,
  { first, others }: { readonly first: WarmInput; readonly others: readonly WarmInput[] },
  follow: FollowOptions,
): Promise<number> {
  const { dir, signal, output, options } = follow;
  /** By their names: a server that has started again refuses them again. */
  const refused = new Map<string, RefusedImage>();
  const noted = ({ refused: some = [], ...job }: WarmStarted): WarmJob => {
    for (const each of some) refused.set(each.image, each);
    return job;
  };
  const asking = (input: WarmInput) => async (): Promise<WarmJob> =>
    noted(await callControl(controlSocketPath(dir), OPERATIONS.warm, { input, signal }));
  const follower = new JobFollower(WARM, follow);
  const jobs = await follower.follow({ job: noted(started), again: asking(first) }, others.map(asking));
  if (jobs === undefined) return EXIT.interrupted;
  const left = [...refused.values()];
  const summary = summarize(jobs, left);
  output.out(options.json === true ? formatJson({ ...summary, jobs, refused: left }) : formatSummary(summary));
  return summary.failedCount + summary.cancelled === 0 ? EXIT.ok : EXIT.failure;
}
