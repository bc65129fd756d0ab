import type { Caller, CopyInput, OperationContext } from '../../admin/index.ts';
import {
  type CopyDestination,
  CopyJobs,
  type CopySource,
  HostedDestination,
  HostedSource,
  type ImageToCopy,
  MirroredSource,
  UpstreamDestination,
} from '../../copy/index.ts';
import { HostingRules } from '../../hosting/index.ts';
import { ownVia } from '../../lib/index.ts';
import { OciError, type Reference, type RegistrySpec, type Repository } from '../../oci/index.ts';
import { parseImagePattern } from '../../routing/index.ts';
import type { RunningServer } from '../running-server.ts';
import { type OneImage, oneImage } from '../settings/index.ts';
import { jobShownTo, seesOf, slotsOf } from './job-parts.ts';

/** Milliseconds for the list of the tags of a repository. */
const LIST_WITHIN = 60_000;
/** Tags of cosign, and of the referrers of old registries: what they list is copied with its image. */
const FALLBACK_TAG = /^sha(?:256|512)-[0-9a-f]{64}$/;

/** Images from one repository to another, for the operations of the server. Jobs end with the server. */
export function copyOf(server: RunningServer): OperationContext['copy'] {
  const jobs = new CopyJobs({
    slots: slotsOf(server),
    sourceOf: (repository) => sourceOf(repository, server),
    destinationOf: (repository, by) => destinationOf(repository, by, server),
  });
  server.parts.cleanups.push(() => jobs.close());
  return {
    async start(input, caller) {
      const { from, to, images } = await imagesOf(input, caller, server);
      const wanted = images.map((each): ImageToCopy => ({ ...each, platforms: input.platforms, by: caller.name }));
      if (wanted.length === 0)
        throw new OciError('MANIFEST_UNKNOWN', `${nameOf(from)} has no tag to copy to ${nameOf(to)}`);
      const view = await jobs.start(wanted, caller.name).view(seesOf(caller));
      if (view === undefined) throw new TypeError('Cannot show a job to the caller that may see it');
      return view;
    },
    list: async (caller) => (await jobs.list(seesOf(caller))).map((job) => jobShownTo(caller, job)),
    async cancel(id, caller) {
      const job = jobs.find(id);
      const sees = seesOf(caller);
      if (job === undefined || (await job.view(sees)) === undefined) return undefined;
      jobs.cancel(job);
      return job.view(sees);
    },
  };
}

interface Ends {
  readonly from: Repository;
  readonly to: Repository;
  readonly images: readonly Omit<ImageToCopy, 'platforms' | 'by'>[];
}

/** Rejects with an `OciError` where there is nothing that can be copied. */
async function imagesOf({ from, to, allTags }: CopyInput, caller: Caller, server: RunningServer): Promise<Ends> {
  const { catalogue } = server.live.current.upstreams;
  const source = oneImage(from, catalogue);
  const destination = oneImage(to, catalogue);
  const given = { from: parseImagePattern(catalogue, from), to: parseImagePattern(catalogue, to) };
  const isNamed = ({ tag, digest }: { readonly tag?: string | undefined; readonly digest?: unknown }): boolean =>
    tag !== undefined || digest !== undefined;
  for (const { repository, text } of [source, destination]) {
    if (caller.seesAll || (await caller.sees(repository))) continue;
    throw new OciError('DENIED', `${caller.name} may not pull ${text}, and so may not have it copied`);
  }
  requireDestination(destination.repository, server);
  const ends = { from: source.repository, to: destination.repository };
  if (allTags) {
    if (isNamed(given.from) || isNamed(given.to)) {
      throw new OciError(
        'NAME_INVALID',
        'all tags are copied from a repository to a repository; leave out tag and digest',
      );
    }
    requireDifferent(source.repository, destination.repository, server);
    const tags = await (await sourceOf(source.repository, server)).tags(AbortSignal.timeout(LIST_WITHIN));
    const copied = tags.filter((tag) => !FALLBACK_TAG.test(tag)).map((tag) => ({ kind: 'tag', tag }) as const);
    return { ...ends, images: copied.map((reference) => pairOf(ends, reference, reference)) };
  }
  const reference = isNamed(given.to) ? destination.reference : source.reference;
  const isSame = textOf(source.repository, source.reference) === textOf(destination.repository, reference);
  if (isSame) requireDifferent(source.repository, destination.repository, server);
  requireDigest(source, reference, to);
  return { ...ends, images: [pairOf(ends, source.reference, reference)] };
}

function pairOf(
  { from, to }: Pick<Ends, 'from' | 'to'>,
  source: Reference,
  destination: Reference,
): Ends['images'][number] {
  return {
    source: { text: textOf(from, source), repository: from },
    destination: { text: textOf(to, destination), repository: to },
    from: source,
    to: destination,
  };
}

/** @throws {OciError} where nothing may be pushed to a repository, with what to write */
function requireDestination(repository: Repository, { live }: RunningServer): void {
  const { config, upstreams } = live.current;
  const home = new HostingRules(upstreams.catalogue.list()).homeOf(repository);
  const { registry } = repository;
  const name = nameOf(repository);
  if (home === 'mirrored') {
    const pattern = JSON.stringify(repository.repository);
    const message = `${name} takes no copy: it is mirrored. To copy to its upstream, write \`registries: {${registry}: {push: [${pattern}]}}\` with credentials that may push; to keep it here, write \`hosted: [${pattern}]\` there`;
    throw new OciError('UNSUPPORTED', message);
  }
  if (home === 'pushed through' && config.offline) {
    throw new OciError('UNSUPPORTED', `this server is offline, so nothing can be copied to the upstream of ${name}`);
  }
}

/** An upstream that takes pushes can lack what the next one of its registry has; a hosted repository is one place. */
function requireDifferent(source: Repository, destination: Repository, { live }: RunningServer): void {
  if (nameOf(source) !== nameOf(destination)) return;
  const { catalogue } = live.current.upstreams;
  const isHosted = new HostingRules(catalogue.list()).homeOf(source) === 'here';
  if (!isHosted && (catalogue.byName(source.registry)?.upstreams.length ?? 0) > 1) return;
  throw new OciError('NAME_INVALID', `${nameOf(source)} is both the source and the destination; name two repositories`);
}

function requireDigest({ reference }: OneImage, to: Reference, text: string): void {
  if (to.kind === 'tag' || (reference.kind === 'digest' && reference.digest === to.digest)) return;
  const message = `${JSON.stringify(text.slice(0, 200))} names a digest, which the copy may not have; name a tag, or the same digest on both sides`;
  throw new OciError('NAME_INVALID', message);
}

async function sourceOf(repository: Repository, { live, parts, processContext }: RunningServer): Promise<CopySource> {
  const { config, upstreams } = live.current;
  const registry = registryOf(repository, live);
  if (new HostingRules(upstreams.catalogue.list()).homeOf(repository) === 'here') {
    return new HostedSource(repository, await parts.hosted.open());
  }
  const origin = parts.upstreamSets.originOf(registry, ownVia(processContext.pseudonym));
  return new MirroredSource(repository, { cache: parts.cache, origin, isOffline: config.offline });
}

async function destinationOf(repository: Repository, by: string, server: RunningServer): Promise<CopyDestination> {
  const { live, parts, processContext } = server;
  const { cache, hosted, telemetry, upstreamSets } = parts;
  requireDestination(repository, server);
  const rules = new HostingRules(live.current.upstreams.catalogue.list());
  if (rules.homeOf(repository) === 'here') {
    return new HostedDestination(repository, { hosting: await hosted.open(), cache, by });
  }
  const origin = await upstreamSets.pushOriginOf(registryOf(repository, live), ownVia(processContext.pseudonym))();
  const isImmutable = (tag: string): boolean => rules.isImmutable(repository, tag);
  return new UpstreamDestination(repository, { origin, cache, telemetry, isImmutable, by });
}

function registryOf({ registry }: Repository, live: RunningServer['live']): RegistrySpec {
  const found = live.current.upstreams.catalogue.byName(registry);
  if (found === undefined) throw new OciError('NAME_UNKNOWN', `no registry is called ${registry}`);
  return found;
}

function nameOf({ registry, repository }: Repository): string {
  return `${registry}/${repository}`;
}

function textOf(repository: Repository, reference: Reference): string {
  return reference.kind === 'tag'
    ? `${nameOf(repository)}:${reference.tag}`
    : `${nameOf(repository)}@${reference.digest}`;
}
