import type { Caller, OperationContext, WarmInput } from '../../admin/index.ts';
import { HostingRules } from '../../hosting/index.ts';
import { ownVia } from '../../lib/index.ts';
import { OciError, type RegistrySpec } from '../../oci/index.ts';
import { parseImagePattern } from '../../routing/index.ts';
import { type ImageToWarm, type SeesRepository, WarmJobs } from '../../warm/index.ts';
import type { RunningServer } from '../running-server.ts';

/** Transfers from one registry at once: four images with three blobs each. */
const MAX_TRANSFERS = 12;

/** Images into the cache, for the operations of the server. Jobs end with the server. */
export function warmOf(server: RunningServer): OperationContext['warm'] {
  const { live, parts, processContext } = server;
  const { cache, upstreamSets } = parts;
  const registryOf = (name: string): RegistrySpec => {
    const registry = live.current.upstreams.catalogue.byName(name);
    if (registry === undefined) throw new OciError('NAME_UNKNOWN', `no registry is called ${name}`);
    return registry;
  };
  const jobs = new WarmJobs({
    cache,
    originFor: (name) => upstreamSets.originOf(registryOf(name), ownVia(processContext.pseudonym)),
    transfersFrom: (name) => transfersFrom(registryOf(name)),
  });
  parts.cleanups.push(() => jobs.close());
  return {
    async start(input, caller) {
      const images = imagesOf(input, server);
      for (const { repository, text } of images) {
        if (!caller.seesAll && !(await caller.sees(repository))) {
          throw new OciError('DENIED', `${caller.name} may not pull ${text}, and so may not have it fetched`);
        }
      }
      const view = await jobs.start(images, caller.name).view(seesOf(caller));
      if (view === undefined) throw new TypeError('Cannot show a job to the caller that may see it');
      return view;
    },
    list: (caller) => jobs.list(seesOf(caller)),
    async cancel(id, caller) {
      const job = jobs.find(id);
      const sees = seesOf(caller);
      if (job === undefined || (await job.view(sees)) === undefined) return undefined;
      jobs.cancel(job);
      return job.view(sees);
    },
    onChange: (hear) => jobs.onChange(({ id, view }) => hear({ id, show: (caller) => view(seesOf(caller)) })),
  };
}

/** @throws {OciError} where one of the images cannot be fetched into the cache, whatever its upstream says */
function imagesOf({ images, platforms }: WarmInput, { live }: RunningServer): readonly ImageToWarm[] {
  const { config, upstreams } = live.current;
  const { catalogue } = upstreams;
  if (config.cache === 'off') {
    throw new OciError('UNSUPPORTED', 'the cache is off, so nothing can be fetched into it; configure cache.dir');
  }
  const { platforms: kept } = config.cache;
  const left = kept === undefined ? undefined : platforms.find((platform) => !isKept(platform, kept));
  if (left !== undefined) {
    const message = `images for ${left} are not kept, as cache.platforms is ${kept?.join(', ')}; add ${left} to cache.platforms, or leave it out`;
    throw new OciError('UNSUPPORTED', message);
  }
  const hosting = new HostingRules(catalogue.list());
  const needsEach = platforms.length > 0;
  return images.map((text) => {
    const { repository: name, tag, digest, text: completed } = parseImagePattern(catalogue, text);
    if (name === undefined || /[*?]/.test(`${name}${tag ?? ''}`)) {
      const message = `${JSON.stringify(text.slice(0, 200))} is not one image; name a tag or a digest, such as docker.io/library/nginx:1.27`;
      throw new OciError('NAME_INVALID', message);
    }
    const slash = name.indexOf('/');
    const registry = catalogue.byName(name.slice(0, slash));
    if (registry === undefined) {
      const message = `${name.slice(0, slash)} is no registry of this server; add it under registries, or name another`;
      throw new OciError('NAME_UNKNOWN', message);
    }
    const repository = { registry: registry.name, repository: name.slice(slash + 1) };
    if (hosting.homeOf(repository) === 'here') {
      throw new OciError('UNSUPPORTED', `${completed} is hosted here: all of it is stored, and it has no upstream`);
    }
    const reference =
      digest === undefined ? { kind: 'tag' as const, tag: tag ?? 'latest' } : { kind: 'digest' as const, digest };
    const shown = digest === undefined && tag === undefined ? `${completed}:latest` : completed;
    return { text: shown, repository, reference, platforms: needsEach ? platforms : (kept ?? []), needsEach };
  });
}

/** Whether every image of a platform is kept by `cache.platforms`, in which `linux/arm` is any variant. */
function isKept(platform: string, kept: readonly string[]): boolean {
  return kept.some((each) => platform === each || platform.startsWith(`${each}/`));
}

/** Half of the connections that the upstreams of a registry take: clients find the others free. */
function transfersFrom({ upstreams }: RegistrySpec): number {
  const limits = upstreams.map(({ transport }) => transport.upstream.maxConnsPerHost).filter((limit) => limit > 0);
  return Math.min(MAX_TRANSFERS, ...limits.map((limit) => Math.ceil(limit / 2)));
}

/** Asks once for each repository: a job may have a thousand images of one. */
function seesOf({ seesAll, sees }: Caller): SeesRepository {
  if (seesAll) return () => true;
  const known = new Map<string, ReturnType<SeesRepository>>();
  return (repository) => {
    const key = `${repository.registry}/${repository.repository}`;
    const answer = known.get(key) ?? sees(repository);
    known.set(key, answer);
    return answer;
  };
}
