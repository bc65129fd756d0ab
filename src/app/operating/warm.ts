import type { OperationContext, RefusedImage, WarmInput, WarmJob } from '../../admin/index.ts';
import { HostingRules } from '../../hosting/index.ts';
import { ownVia } from '../../lib/index.ts';
import { OciError, type RegistrySpec } from '../../oci/index.ts';
import { type ImageToWarm, WarmJobs } from '../../warm/index.ts';
import type { RunningServer } from '../running-server.ts';
import { oneImage } from '../settings/index.ts';
import { endOf, jobListOf, seesOf, slotsOf } from './job-parts.ts';

/** A job of a schedule. */
export interface WarmRun {
  readonly id: string;
  readonly ended: Promise<WarmJob>;
  /** What cannot be fetched, whatever its upstream says. */
  readonly refused: readonly RefusedImage[];
  readonly cancel: () => void;
}

export interface WarmRunner {
  /** @throws {OciError} where a job cannot begin */
  run(input: WarmInput, by: string): WarmRun;
}

/** Images into the cache, for the operations of the server. Jobs end with the server. */
export function warmOf(server: RunningServer): OperationContext['warm'] & WarmRunner {
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
    slots: slotsOf(server),
  });
  parts.cleanups.push(() => jobs.close());
  return {
    ...jobListOf(jobs),
    async start(input, caller) {
      const { images, refused } = imagesOf(input, server);
      for (const { repository, text } of images) {
        if (!caller.seesAll && !(await caller.sees(repository))) {
          throw new OciError('DENIED', `${caller.name} may not pull ${text}, and so may not have it fetched`);
        }
      }
      const view = await jobs.start(images, caller.name).view(seesOf(caller));
      if (view === undefined) throw new TypeError('Cannot show a job to the caller that may see it');
      return input.partial ? { ...view, refused } : view;
    },
    run(input, by) {
      const { images, refused } = imagesOf(input, server);
      const job = jobs.start(images, by);
      return { id: job.id, ended: endOf(job), refused, cancel: () => jobs.cancel(job) };
    },
  };
}

/** @throws {OciError} where one of the images, with `partial` each of them, cannot be fetched into the cache, whatever its upstream says */
function imagesOf(
  { images: texts, platforms, partial }: WarmInput,
  { live }: RunningServer,
): { readonly images: readonly ImageToWarm[]; readonly refused: readonly RefusedImage[] } {
  const { config, upstreams } = live.current;
  const { catalogue } = upstreams;
  if (config.cache === 'off') {
    throw new OciError('UNSUPPORTED', 'the cache is off, so nothing can be fetched into it; configure cache.dir');
  }
  if (config.offline) {
    throw new OciError(
      'UNSUPPORTED',
      'this server is offline and asks no upstream; `entrepot missing` says what it lacks, and `entrepot import` brings it',
    );
  }
  const { platforms: kept } = config.cache;
  const left = kept === undefined ? undefined : platforms.find((platform) => !isKept(platform, kept));
  if (left !== undefined) {
    const message = `images for ${left} are not kept, as cache.platforms is ${kept?.join(', ')}; add ${left} to cache.platforms, or leave it out`;
    throw new OciError('UNSUPPORTED', message);
  }
  const hosting = new HostingRules(catalogue.list());
  const needsEach = platforms.length > 0;
  const images: ImageToWarm[] = [];
  const refused: RefusedImage[] = [];
  let first: OciError | undefined;
  for (const text of texts) {
    try {
      const image = oneImage(text, catalogue);
      if (hosting.homeOf(image.repository) !== 'here') {
        images.push({ ...image, platforms: needsEach ? platforms : (kept ?? []), needsEach });
        continue;
      }
      const message = `${image.text} is hosted here: all of it is stored, and it has no upstream`;
      first ??= new OciError('UNSUPPORTED', message);
      refused.push({ image: text, error: message, hosted: true });
    } catch (error) {
      if (!(error instanceof OciError)) throw error;
      first ??= error;
      refused.push({ image: text, error: error.message });
    }
    if (!partial) break;
  }
  if (first !== undefined && (!partial || images.length === 0)) throw first;
  return { images, refused };
}

/** Whether every image of a platform is kept by `cache.platforms`, in which `linux/arm` is any variant. */
function isKept(platform: string, kept: readonly string[]): boolean {
  return kept.some((each) => platform === each || platform.startsWith(`${each}/`));
}
