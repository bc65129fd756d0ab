import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { OperationContext, PlannedImage } from '../../admin/index.ts';
import {
  BundleError,
  Contents,
  type ImagePlan,
  type ImportTarget,
  importBundle,
  isComplete,
  planImage,
} from '../../bundle/index.ts';
import type { PullThrough } from '../../cache/index.ts';
import type { Config } from '../../config/index.ts';
import { HostingRules } from '../../hosting/index.ts';
import { inTurns, ownVia, parseBoundedJsonInPieces } from '../../lib/index.ts';
import {
  type Digest,
  isOriginFailure,
  OciError,
  type Origin,
  type OriginManifest,
  type OriginSource,
  parseDigest,
  type RegistrySpec,
  type Repository,
} from '../../oci/index.ts';
import type { Catalogue } from '../../routing/index.ts';
import { type BlobStore, type HostedStore, type MetadataStore, readHostedBlobs } from '../../store/index.ts';
import type { RunningServer } from '../running-server.ts';
import { type OneImage, oneImage } from './one-image.ts';

/** What of a server, or of a directory without one, bundles are made of. */
export interface CarryParts {
  readonly cache: PullThrough;
  readonly metadata: MetadataStore;
  readonly store: BlobStore;
  /** What was pushed here; undefined where nothing is hosted. */
  readonly hosted: () => { readonly records: HostedStore } | undefined;
  /** The upstreams of a registry; undefined where none can be asked. */
  readonly originFor?: ((registry: string) => OriginSource) | undefined;
  /** Whether the upstreams show a manifest to every client; undefined where none can be asked. */
  readonly isPublic?: ((repository: Repository, digest: Digest) => Promise<boolean>) | undefined;
  /** The configuration in effect. */
  readonly current: () => { readonly config: Config; readonly catalogue: Catalogue };
}

/** Milliseconds within which what is held has to be renewed. */
const LEASE = 60_000;
/** Commands that hold something at once. */
const MAX_SESSIONS = 16;
/** What an imported record says in place of an upstream. */
const UPSTREAM = 'a bundle';

export function carryOf({ live, parts, processContext }: RunningServer): OperationContext['carry'] {
  const { cache, storage, hosted, upstreamSets, cleanups } = parts;
  const registryOf = (name: string): RegistrySpec => {
    const registry = live.current.upstreams.catalogue.byName(name);
    if (registry === undefined) throw new OciError('NAME_UNKNOWN', `no registry is called ${name}`);
    return registry;
  };
  const via = ownVia(processContext.pseudonym);
  const carry = composeCarry({
    cache,
    ...storage,
    hosted: () => hosted.current,
    originFor: (name) => upstreamSets.originOf(registryOf(name), via),
    isPublic(repository, digest) {
      const registry = registryOf(repository.registry);
      const anonymous = upstreamSets.anonymousOf(registry, via);
      const wanted = { manifest: { kind: 'digest', digest } } as const;
      return cache.visibilities.isPublic(repository, {
        anonymous,
        origin: upstreamSets.originOf(registry, via),
        wanted,
      });
    },
    current: () => ({ config: live.current.config, catalogue: live.current.upstreams.catalogue }),
  });
  cleanups.push(() => carry.close());
  return carry;
}

interface Session {
  readonly contents: Contents;
  readonly releases: Map<Digest, () => void>;
  timer: NodeJS.Timeout;
}

/** Bundles out of what is stored here, and into it. */
export function composeCarry(parts: CarryParts): OperationContext['carry'] & { close(): void } {
  const { cache, metadata, store, current } = parts;
  const sessions = new Map<string, Session>();
  const end = (id: string): boolean => {
    const session = sessions.get(id);
    if (session === undefined) return false;
    sessions.delete(id);
    clearTimeout(session.timer);
    for (const release of session.releases.values()) release();
    return true;
  };
  const expireLater = (id: string): NodeJS.Timeout => setTimeout(() => end(id), LEASE).unref();
  return {
    async begin() {
      const { config, catalogue } = current();
      if (config.cache === 'off') throw new BundleError('the cache is off, so nothing is stored; configure cache.dir');
      if (sessions.size >= MAX_SESSIONS) {
        throw new BundleError(`${MAX_SESSIONS} exports run already; wait for one to end`);
      }
      const records = parts.hosted()?.records;
      const hosted =
        records === undefined ? undefined : { records, blobs: await readHostedBlobs(join(config.cache.dir, 'hosted')) };
      const rules = new HostingRules(catalogue.list());
      const contents = new Contents({
        metadata,
        blobs: store,
        hosted,
        isHosted: (repository) => rules.homeOf(repository) === 'here',
        now: Date.now,
      });
      const id = randomUUID();
      sessions.set(id, { contents, releases: new Map(), timer: expireLater(id) });
      return { id, lease: LEASE, offline: config.offline };
    },
    async plan({ id, images, platforms }) {
      const session = sessions.get(id);
      if (session === undefined) throw new BundleError('it has ended, as it lasted too long; repeat the command');
      const { contents, releases } = session;
      contents.forget();
      const hold = (digest: Digest): void => {
        // Of a session that ends meanwhile, nothing stays held.
        if (sessions.has(id) && !releases.has(digest)) releases.set(digest, cache.hold(digest));
      };
      const { config, catalogue } = current();
      const kept = config.cache === 'off' ? undefined : config.cache.platforms;
      const wanted = platforms.length > 0 ? platforms : (kept ?? []);
      const planned: PlannedImage[] = [];
      for (const text of images) {
        const image = imageOrError(text, catalogue);
        if ('error' in image) {
          planned.push({ image: text, complete: false, error: image.error, missingPlatforms: [], attached: [] });
        } else {
          const plan = await planImage(image, { contents, platforms: wanted, hold });
          planned.push(describe(config.offline ? plan : await withVisibility(plan, parts.isPublic)));
        }
      }
      return planned;
    },
    async attached(texts) {
      const names: string[] = [];
      const failed: { image: string; error: string }[] = [];
      const { originFor } = parts;
      const { catalogue } = current();
      const rules = new HostingRules(catalogue.list());
      for (const text of originFor === undefined ? [] : texts) {
        try {
          const { repository, reference } = oneImage(text, catalogue);
          if (rules.homeOf(repository) === 'here') continue;
          const digest =
            reference.kind === 'digest' ? reference.digest : (await metadata.getTag(repository, reference.tag))?.digest;
          const origin = await originFor?.(repository.registry)();
          if (digest === undefined || origin === undefined) continue;
          for (const each of await attachedAt(origin, repository, digest)) {
            names.push(`${repository.registry}/${repository.repository}${each}`);
          }
        } catch (error) {
          if (!isOriginFailure(error) && !(error instanceof OciError)) throw error;
          failed.push({ image: text, error: error.message });
        }
      }
      return { names, failed };
    },
    renew(id) {
      sessions.get(id)?.timer.refresh();
      return sessions.has(id);
    },
    end,
    async import(body) {
      const releases = new Map<Digest, () => void>();
      try {
        return await importBundle(body, importTarget(parts, releases));
      } finally {
        for (const release of releases.values()) release();
      }
    },
    close() {
      for (const id of sessions.keys()) end(id);
    },
  };
}

/** Referrers of one image that are taken along. */
const MAX_REFERRERS = 100;

/**
 * What an upstream has that belongs to a manifest: what its referrers list names, and what cosign tags.
 *
 * @returns `@sha256:…` and `:sha256-….sig`
 */
async function attachedAt(origin: Origin, repository: Repository, digest: Digest): Promise<readonly string[]> {
  const { bytes } = await origin.list(repository, { kind: 'referrers', digest });
  const list = await inTurns(parseBoundedJsonInPieces(bytes));
  const manifests = typeof list === 'object' && list !== null && 'manifests' in list ? list.manifests : undefined;
  const found = (Array.isArray(manifests) ? manifests.slice(0, MAX_REFERRERS) : []).flatMap((each: unknown) => {
    const text = typeof each === 'object' && each !== null && 'digest' in each ? each.digest : undefined;
    const parsed = typeof text === 'string' ? parseDigest(text) : undefined;
    return parsed === undefined ? [] : [`@${parsed}`];
  });
  for (const suffix of ['.sig', '.att', '.sbom']) {
    const tag = `${digest.replace(':', '-')}${suffix}`;
    try {
      await origin.headManifest(repository, { kind: 'tag', tag });
      found.push(`:${tag}`);
    } catch (error) {
      // Most images have none of them; some registries say so by a refusal.
      if (!isOriginFailure(error) || (error.kind !== 'not-found' && error.kind !== 'denied')) throw error;
    }
  }
  return found;
}

/**
 * What was fetched with a credential is public all the same where its upstreams show it without one: a credential is often
 * there for the rate limit alone. Where they do not say, it stays private.
 */
async function withVisibility(plan: ImagePlan, isPublic: CarryParts['isPublic']): Promise<ImagePlan> {
  const { image, home, tree, attached } = plan;
  if (home === 'hosted' || isPublic === undefined || tree === undefined) return plan;
  const look = async <T extends NonNullable<ImagePlan['tree']>>(each: T): Promise<T> => {
    if (each.visibility === 'public') return each;
    try {
      return (await isPublic(image.repository, each.digest)) ? { ...each, visibility: 'public' } : each;
    } catch (error) {
      if (!isOriginFailure(error) && !(error instanceof OciError)) throw error;
      return each;
    }
  };
  return { ...plan, tree: await look(tree), attached: await Promise.all(attached.map(look)) };
}

function imageOrError(text: string, catalogue: Catalogue): OneImage | { readonly error: string } {
  try {
    return oneImage(text, catalogue);
  } catch (error) {
    if (error instanceof OciError) return { error: error.message };
    throw error;
  }
}

function describe(plan: ImagePlan): PlannedImage {
  const { image, home, tree, missingPlatforms, attached } = plan;
  const { registry, repository } = image.repository;
  return {
    image: image.text,
    repository: `${registry}/${repository}`,
    home,
    complete: isComplete(plan),
    ...(tree === undefined ? {} : { tree: describeTree(tree) }),
    missingPlatforms,
    attached: attached.map((each) => ({
      ...describeTree(each),
      ...(each.tag === undefined ? {} : { tag: each.tag }),
    })),
  };
}

function describeTree({ digest, mediaType, visibility, confirmedAt, parts }: NonNullable<ImagePlan['tree']>) {
  return {
    digest,
    mediaType,
    visibility,
    ...(confirmedAt === undefined ? {} : { confirmedAt }),
    parts: parts.map(({ size, ...part }) => ({ ...part, ...(size === undefined ? {} : { size }) })),
  };
}

function importTarget({ cache, current }: CarryParts, releases: Map<Digest, () => void>): ImportTarget {
  const { carried } = cache;
  const { catalogue } = current();
  const rules = new HostingRules(catalogue.list());
  const fromBundle = (manifest: Omit<OriginManifest, 'size' | 'upstream'>): OriginManifest => ({
    ...manifest,
    size: manifest.bytes.length,
    upstream: UPSTREAM,
  });
  return {
    resolve(name) {
      const image = oneImage(name, catalogue);
      if (rules.homeOf(image.repository) === 'here') {
        const message = `${image.text} is hosted here, and what is hosted is pushed: push it out of the bundle (skopeo copy oci-archive:…)`;
        throw new OciError('UNSUPPORTED', message);
      }
      return image;
    },
    storedSize: (digest) => carried.storedSize(digest),
    begin: () => carried.begin(),
    hold(digest) {
      if (!releases.has(digest)) releases.set(digest, cache.hold(digest));
    },
    manifest: (digest) => carried.bytes(digest),
    record: (repository, manifest, isTagged) => carried.manifest(repository, fromBundle(manifest), isTagged),
    tag: (repository, tag, { confirmedAt, ...manifest }) =>
      carried.tag(repository, tag, fromBundle(manifest), confirmedAt),
    now: Date.now,
  };
}
