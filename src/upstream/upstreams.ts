import { isRepositoryName, type RegistrySpec, type Repository, type UpstreamSpec } from '../oci/index.ts';
import type { ListAnswer, UpstreamHealth, Upstreams } from './answers.ts';
import {
  getManifest,
  headBlob,
  headManifest,
  listNames,
  listReferrers,
  locateBlob,
  noReferrers,
  openBlob,
  type ReferrersAsked,
} from './api/index.ts';
import type { UpstreamContext } from './context.ts';
import { UpstreamError } from './error.ts';
import { failOver } from './health/index.ts';
import { Upstream } from './upstream.ts';

/** Options of {@link createUpstreams}. */
export interface UpstreamsOptions extends Omit<UpstreamContext, 'now'> {
  /**
   * The registry of a name. While a registry stays as it is, its upstreams must stay the same objects: what is learnt of
   * one (challenges, tokens) is kept with it, and forgotten with it when the configuration changes.
   */
  readonly find: (registry: string) => RegistrySpec | undefined;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

/** What is asked for: a digest may be had from any copy, where a tag points or what a list holds only from who may say. */
type Need = 'pull' | 'resolve';

/** Brings the registries' upstreams together: asks them in order, each by its own rules. */
export function createUpstreams(options: UpstreamsOptions): Upstreams {
  const context: UpstreamContext = { ...options, now: options.now ?? Date.now };
  const known = new WeakMap<UpstreamSpec, Upstream>();

  function upstreamFor(registry: string, spec: UpstreamSpec): Upstream {
    const found = known.get(spec);
    if (found !== undefined) return found;
    const made = new Upstream(registry, spec, context);
    known.set(spec, made);
    return made;
  }

  /** Whom to ask, in order. Who is known to be down is among them, and says so at once. */
  function candidates(repository: Repository, need: Need): readonly Upstream[] {
    const registry = options.find(repository.registry);
    if (registry === undefined) throw unknown(`no registry is called ${repository.registry}`, repository);
    return registry.upstreams
      .filter((each) => each.capabilities.includes(need))
      .map((each) => upstreamFor(registry.name, each));
  }

  async function ask<T>(
    at: { repository: Repository; need: Need; signal: AbortSignal | undefined },
    question: (upstream: Upstream) => Promise<T>,
  ): Promise<T> {
    const { repository, need, signal } = at;
    signal?.throwIfAborted();
    // URLs are built from checked names only; this is the last place where an unchecked one would be noticed.
    if (repository.repository !== '' && !isRepositoryName(repository.repository)) {
      throw unknown('that is no repository name', repository);
    }
    const { telemetry } = context;
    return failOver(candidates(repository, need), question, { registry: repository.registry, telemetry, signal });
  }

  async function referrers(repository: Repository, asked: ReferrersAsked): Promise<ListAnswer> {
    try {
      const { signal } = asked;
      return await ask({ repository, need: 'resolve', signal }, (upstream) => listReferrers(upstream, asked));
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.kind !== 'not-found') throw error;
      return { ...noReferrers(asked.query), upstream: error.upstream, visibility: 'public' };
    }
  }

  return {
    headManifest(repository, reference, options) {
      const asked = { repository: repository.repository, reference, signal: options?.signal };
      const need = reference.kind === 'tag' ? 'resolve' : 'pull';
      return ask({ repository, need, signal: asked.signal }, (upstream) => headManifest(upstream, asked));
    },
    getManifest(repository, reference, options) {
      const asked = { repository: repository.repository, reference, signal: options?.signal };
      const need = reference.kind === 'tag' ? 'resolve' : 'pull';
      return ask({ repository, need, signal: asked.signal }, (upstream) => getManifest(upstream, asked));
    },
    headBlob(repository, digest, options) {
      const asked = { repository: repository.repository, digest, signal: options?.signal };
      return ask({ repository, need: 'pull', signal: asked.signal }, (upstream) => headBlob(upstream, asked));
    },
    openBlob(repository, digest, options) {
      const part = { offset: options?.offset ?? 0, end: options?.end };
      const asked = { repository: repository.repository, digest, ...part, signal: options?.signal };
      return ask({ repository, need: 'pull', signal: asked.signal }, (upstream) => openBlob(upstream, asked));
    },
    locateBlob(repository, digest, options) {
      const asked = { repository: repository.repository, digest, signal: options?.signal };
      return ask({ repository, need: 'pull', signal: asked.signal }, (upstream) => locateBlob(upstream, asked));
    },
    list(repository, query, options) {
      const signal = options?.signal;
      if (query.kind === 'referrers') {
        return referrers(repository, { repository: repository.repository, query, signal });
      }
      const asked = { repository: repository.repository, query, signal };
      return ask({ repository, need: 'resolve', signal }, (upstream) => listNames(upstream, asked));
    },
    healthOf(name) {
      const upstreams = options.find(name)?.upstreams ?? [];
      return upstreams.flatMap((spec): UpstreamHealth[] => {
        const upstream = known.get(spec);
        return upstream === undefined ? [] : [{ upstream: upstream.name, ...upstream.health() }];
      });
    },
  };
}

function unknown(message: string, repository: Repository): UpstreamError {
  return new UpstreamError(message, { kind: 'not-found', upstream: repository.registry });
}
