import { actorShownTo, type Caller, type JobList } from '../../admin/index.ts';
import { type Job, type Jobs, type JobView, type SeesRepository, TransferSlots } from '../../jobs/index.ts';
import type { RegistrySpec } from '../../oci/index.ts';
import type { RunningServer } from '../running-server.ts';

// What jobs of different kinds share.

/** Transfers from one registry at once: four images with three blobs each. */
const MAX_TRANSFERS = 12;

const slots = new WeakMap<RunningServer, TransferSlots>();

/** Where the transfers of all jobs of a server wait. */
export function slotsOf(server: RunningServer): TransferSlots {
  const transfersOf = (name: string): number => {
    const registry = server.live.current.upstreams.catalogue.byName(name);
    return registry === undefined ? 1 : transfersFrom(registry);
  };
  const known = slots.get(server) ?? new TransferSlots(transfersOf);
  slots.set(server, known);
  return known;
}

/** Half of the connections that the upstreams of a registry take: clients find the others free. */
function transfersFrom({ upstreams }: RegistrySpec): number {
  const limits = upstreams.map(({ transport }) => transport.upstream.maxConnsPerHost).filter((limit) => limit > 0);
  return Math.min(MAX_TRANSFERS, ...limits.map((limit) => Math.ceil(limit / 2)));
}

/** Asks once for each repository: a job may have a thousand images of one. */
export function seesOf({ seesAll, sees }: Caller): SeesRepository {
  if (seesAll) return () => true;
  const known = new Map<string, ReturnType<SeesRepository>>();
  return (repository) => {
    const key = `${repository.registry}/${repository.repository}`;
    const answer = known.get(key) ?? sees(repository);
    known.set(key, answer);
    return answer;
  };
}

/** A job as a list shows it: who began it is told as callers may know it. */
function jobShownTo<Job extends { readonly by: string }>(caller: Caller, job: Job): Job {
  return { ...job, by: actorShownTo(caller, job.by) ?? '' };
}

/** The jobs of one kind, for operations. */
export function jobListOf<Want, Facts, Sum extends keyof Facts>(
  jobs: Jobs<Want, Facts, Sum>,
): JobList<JobView<Facts, Sum>> {
  return {
    list: async (caller) => (await jobs.list(seesOf(caller))).map((job) => jobShownTo(caller, job)),
    async cancel(id, caller) {
      const job = jobs.find(id);
      const sees = seesOf(caller);
      if (job === undefined || (await job.view(sees)) === undefined) return undefined;
      jobs.cancel(job);
      return job.view(sees);
    },
    onChange: (hear) =>
      jobs.onChange(({ id, view }) => {
        const show = async (caller: Caller): Promise<JobView<Facts, Sum> | undefined> => {
          const job = await view(seesOf(caller));
          return job === undefined ? undefined : jobShownTo(caller, job);
        };
        hear({ id, show });
      }),
  };
}

/** A job once it has ended, with all of its images. */
export async function endOf<Facts, Sum extends keyof Facts>(job: Job<Facts, Sum>): Promise<JobView<Facts, Sum>> {
  await job.ended;
  const view = await job.view(() => true);
  if (view === undefined) throw new TypeError('Cannot show a job to the server itself');
  return view;
}
