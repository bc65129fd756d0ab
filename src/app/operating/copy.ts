import type { Caller, OperationContext } from '../../admin/index.ts';
import { CopyJobs, type ImageToCopy } from '../../copy/index.ts';
import { OciError, type Repository } from '../../oci/index.ts';
import type { RunningWork } from '../../schedules/index.ts';
import type { RunningServer } from '../running-server.ts';
import { type CopyEnds, type CopyNames, copyEndsOf, copyText, nameOf, sameEndsFault } from '../settings/index.ts';
import { destinationOf, requireDestination, rulesOf, sourceOf } from './copy-places.ts';
import { type CopyRun, type ImageEnds, runCopy } from './copy-run.ts';
import { jobListOf, seesOf, slotsOf } from './job-parts.ts';

/** Milliseconds for the list of the tags of a repository. */
const LIST_WITHIN = 60_000;
/** Tags of cosign, and of the referrers of old registries: what they list is copied with its image. */
const FALLBACK_TAG = /^sha(?:256|512)-[0-9a-f]{64}$/;

export interface CopyRunner {
  /** Begins a run of a schedule. @throws {OciError} where it cannot begin */
  run(wanted: CopyRun, by: string): RunningWork;
}

/** Images from one repository to another, for the operations of the server. Jobs end with the server. */
export function copyOf(server: RunningServer): OperationContext['copy'] & CopyRunner {
  const jobs = new CopyJobs({
    slots: slotsOf(server),
    sourceOf: (repository) => sourceOf(repository, server),
    destinationOf: (repository, by) => destinationOf(repository, by, server),
  });
  server.parts.cleanups.push(() => jobs.close());
  const endsOf = (names: CopyNames): CopyEnds => copyEndsOf(names, server.live.current.upstreams.catalogue);
  return {
    ...jobListOf(jobs),
    async start(input, caller) {
      const ends = endsOf(input);
      await requireRight(ends, caller);
      requirePossible(ends, input, server);
      const images = input.allTags ? await tagsOf(ends, { server }) : [imageOf(ends)];
      const wanted = images.map((each): ImageToCopy => ({ ...each, platforms: input.platforms, by: caller.name }));
      const view = await jobs.start(wanted, caller.name).view(seesOf(caller));
      if (view === undefined) throw new TypeError('Cannot show a job to the caller that may see it');
      return view;
    },
    run: (wanted, by) =>
      runCopy(wanted, {
        by,
        jobs,
        endsOf(names) {
          const ends = endsOf(names);
          requirePossible(ends, names, server);
          return ends;
        },
        imageOf,
        tagsOf: (ends, signal) => tagsOf(ends, { server, signal }),
      }),
  };
}

/** A copy is made with the credentials of the server: who has it made must be allowed both of its ends. */
async function requireRight({ source, destination }: CopyEnds, caller: Caller): Promise<void> {
  for (const { repository, text } of [source, destination]) {
    if (caller.seesAll || (await caller.sees(repository))) continue;
    throw new OciError('DENIED', `${caller.name} may not pull ${text}, and so may not have it copied`);
  }
  requirePush(destination.repository, caller);
}

/** @throws {OciError} where a caller may not push to a repository, and so may not have anything copied there */
export function requirePush(repository: Repository, caller: Caller): void {
  if (caller.mayPush(repository)) return;
  const name = nameOf(repository);
  const message = `${caller.name} may not push to ${name}, and so may not have anything copied there; it takes a rule with may: [push] on ${name}`;
  throw new OciError('DENIED', message);
}

/** @throws {OciError} where the destination takes no push, or is the source */
function requirePossible(ends: CopyEnds, { allTags }: CopyNames, server: RunningServer): void {
  requireDestination(ends.destination.repository, server);
  const { catalogue } = server.live.current.upstreams;
  const same = sameEndsFault(ends, { allTags, catalogue, rules: rulesOf(server) });
  if (same !== undefined) throw new OciError('NAME_INVALID', same);
}

/** Every tag of a repository. Rejects with an `OciError` where it has none, or the failure of an upstream that does not list them. */
async function tagsOf(
  ends: CopyEnds,
  { server, signal }: { readonly server: RunningServer; readonly signal?: AbortSignal },
): Promise<readonly ImageEnds[]> {
  const { source, destination } = ends;
  const within = AbortSignal.timeout(LIST_WITHIN);
  const from = await sourceOf(source.repository, server);
  const tags = await from.tags(signal === undefined ? within : AbortSignal.any([within, signal]));
  const copied = tags.filter((tag) => !FALLBACK_TAG.test(tag)).map((tag) => ({ kind: 'tag', tag }) as const);
  if (copied.length > 0) return copied.map((reference) => imageOf(ends, { from: reference, to: reference }));
  const message = `${nameOf(source.repository)} has no tag to copy to ${nameOf(destination.repository)}`;
  throw new OciError('MANIFEST_UNKNOWN', message);
}

/** One image. @param references @default those of the two ends */
function imageOf(
  { source, destination }: CopyEnds,
  { from, to }: Pick<ImageEnds, 'from' | 'to'> = { from: source.reference, to: destination.reference },
): ImageEnds {
  return {
    source: { text: copyText(source.repository, from), repository: source.repository },
    destination: { text: copyText(destination.repository, to), repository: destination.repository },
    from,
    to,
  };
}
