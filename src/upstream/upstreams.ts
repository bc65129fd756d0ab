import type { Via } from '../lib/index.ts';
import {
  type BlobOptions,
  type Digest,
  isRepositoryName,
  type ListQuery,
  type OpenBlobOptions,
  type Origin,
  type OriginList,
  type OriginOptions,
  type PushOrigin,
  type Reference,
  type RegistrySpec,
  type Repository,
  type UpstreamSpec,
} from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import {
  getManifest,
  headBlob,
  headManifest,
  listNames,
  listReferrers,
  locateBlob,
  NoReferrersError,
  noReferrers,
  openBlob,
} from './api/index.ts';
import type { UpstreamContext } from './context.ts';
import { UpstreamError } from './error.ts';
import { failOver, type HealthView, rightFirst } from './health/index.ts';
import { UpstreamPushOrigin } from './push-origin.ts';
import type { Quota } from './rate-limit.ts';
import { type PaceView, type Question, Strategy } from './strategy/index.ts';
import { nameAt, Upstream } from './upstream.ts';
import type { UpstreamRequest } from './upstream-request.ts';

/** Every upstream. */
export interface Upstreams {
  /**
   * The upstreams of a registry, in order. Challenges, tokens and health are kept per upstream spec, by identity: an
   * unchanged upstream must stay the same object, and a changed one must be another.
   *
   * @param via the servers behind every request to them @default none
   */
  originOf(registry: RegistrySpec, via?: Via): Origin;
  /** The upstream of a registry that takes pushes: the first. @throws {UpstreamError} where the registry has none */
  pushOriginOf(registry: RegistrySpec, via?: Via): PushOrigin;
  /** The health of a registry's upstreams, of those that were asked; makes no request. */
  healthOf(registry: RegistrySpec): readonly UpstreamHealth[];
  /**
   * The upstreams that a question may go to, in the order in which they would be asked now, and what their strategy goes by.
   * Makes no request; a plugin is asked.
   */
  routeOf(registry: RegistrySpec, question: Question): Promise<readonly RoutedUpstream[]>;
}

/** One upstream in its place in the order. */
export interface RoutedUpstream extends Omit<PaceView, 'measuredAt'> {
  readonly upstream: string;
  readonly state: ReturnType<Upstream['stateFor']>;
}

/** The health of one upstream. */
export interface UpstreamHealth extends HealthView {
  /** Its name. */
  readonly upstream: string;
  /** What is left of its rate limits, for each credential of which that is known. */
  readonly quota?: readonly Quota[];
}

export function createUpstreams(context: UpstreamContext): Upstreams {
  const known = new WeakMap<UpstreamSpec, Upstream>();
  const strategies = new WeakMap<RegistrySpec, Strategy>();

  function upstreamFor(registry: string, spec: UpstreamSpec): Upstream {
    const upstream = known.get(spec) ?? new Upstream(registry, spec, context);
    known.set(spec, upstream);
    return upstream;
  }

  /** Undefined where the order is that of the configuration. */
  function strategyOf(registry: RegistrySpec): Strategy | undefined {
    const { strategy: spec, name, upstreams } = registry;
    if (spec === undefined || spec.by === 'ordered' || upstreams.length < 2) return undefined;
    const { now, random = Math.random, pluginOf } = context;
    const strategy =
      strategies.get(registry) ?? new Strategy(spec, { registry: name, now, random, plugin: pluginOf?.(registry) });
    strategies.set(registry, strategy);
    return strategy;
  }

  async function routeOf(registry: RegistrySpec, question: Question): Promise<readonly RoutedUpstream[]> {
    const { name, upstreams } = registry;
    const need = question.reference?.kind === 'digest' && question.content !== 'list' ? 'pull' : 'resolve';
    const candidates = upstreams
      .filter(({ capabilities }) => capabilities.includes(need))
      .map((spec) => upstreamFor(name, spec));
    const ordered = (await strategyOf(registry)?.preview(candidates, question)) ?? candidates;
    return ordered.map((each) => {
      const { measuredAt: _, ...pace } = each.pace.view(question.content === 'blob' ? 'blob' : 'manifest');
      return { upstream: each.name, state: each.stateFor(question), ...pace };
    });
  }

  return {
    routeOf,
    originOf: (registry, via) =>
      new RegistryOrigin(registry, {
        via,
        upstreamFor: (spec) => upstreamFor(registry.name, spec),
        strategy: strategyOf(registry),
        telemetry: context.telemetry,
      }),
    pushOriginOf: ({ name, upstreams: [first] }, via) => {
      if (first !== undefined) return new UpstreamPushOrigin(upstreamFor(name, first), via);
      const message = `${name} has no upstream that could take a push`;
      throw new UpstreamError(message, { kind: 'unavailable', upstream: name });
    },
    healthOf: ({ upstreams }) =>
      upstreams.flatMap((spec): UpstreamHealth[] => {
        const upstream = known.get(spec);
        return upstream === undefined ? [] : [{ upstream: upstream.name, ...upstream.health() }];
      }),
  };
}

/** A digest may come from any upstream; a tag or a list only from one that may resolve. */
type Need = UpstreamSpec['capabilities'][number];

interface Asked extends Pick<Question, 'content' | 'method'> {
  readonly need: Need;
  /** Without the registry. */
  readonly repository: string;
  /** Of a blob: upstreams that gave it wrongly are asked last. */
  readonly digest?: Digest;
  /** See {@link OpenBlobOptions}. */
  readonly prefer?: string | undefined;
  readonly only?: string | undefined;
  /** Of a manifest. */
  readonly reference?: Reference;
  /** Bytes of a blob. */
  readonly size?: number | undefined;
  /** Of the part of a blob that is asked for; both ends are inclusive. */
  readonly offset?: number;
  readonly end?: number | undefined;
  readonly signal: AbortSignal | undefined;
}

type WithVia = Pick<UpstreamRequest, 'via'>;

interface RegistryContext {
  /** Makes an upstream at its first request, and gives the same one afterwards. */
  readonly upstreamFor: (spec: UpstreamSpec) => Upstream;
  /** @default the order of the configuration */
  readonly strategy: Strategy | undefined;
  readonly telemetry: Telemetry;
  readonly via: Via | undefined;
}

/** The upstreams of one registry: asked in order, each by its own rules, until one answers. */
class RegistryOrigin implements Origin {
  readonly #registry: RegistrySpec;
  readonly #context: RegistryContext;

  constructor(registry: RegistrySpec, context: RegistryContext) {
    this.#registry = registry;
    this.#context = context;
  }

  headManifest({ repository }: Repository, reference: Reference, { signal }: OriginOptions = {}) {
    const asked = { content: 'manifest', method: 'HEAD', need: needOf(reference) } as const;
    return this.#ask({ ...asked, repository, reference, signal }, headManifest);
  }

  getManifest({ repository }: Repository, reference: Reference, { signal }: OriginOptions = {}) {
    const asked = { content: 'manifest', method: 'GET', need: needOf(reference) } as const;
    return this.#ask({ ...asked, repository, reference, signal }, getManifest);
  }

  headBlob({ repository }: Repository, digest: Digest, { signal, size }: BlobOptions = {}) {
    return this.#ask({ content: 'blob', method: 'HEAD', need: 'pull', repository, digest, size, signal }, headBlob);
  }

  openBlob({ repository }: Repository, digest: Digest, options: OpenBlobOptions = {}) {
    const { signal, size, offset = 0, end, partOnly = false, prefer, only, transfer } = options;
    const isOnlyOne = this.#candidates('pull').length === 1;
    return this.#ask(
      {
        content: 'blob',
        method: 'GET',
        need: 'pull',
        repository,
        digest,
        size,
        offset,
        end,
        partOnly,
        prefer,
        only,
        transfer,
        signal,
      },
      async (upstream, asked) => {
        const giveUp = (): void => upstream.wrongBlobs.add(digest);
        try {
          const blob = await openBlob(upstream, asked);
          return isOnlyOne ? blob : { ...blob, giveUp };
        } catch (error) {
          // An answer that says 200 and holds something else; a status of failure says nothing about the digest.
          if (error instanceof UpstreamError && error.kind === 'invalid' && error.status === undefined) giveUp();
          throw error;
        }
      },
    );
  }

  upstreamsOf(digest: Digest): readonly string[] {
    return this.#candidates('pull')
      .filter((upstream) => !upstream.refuses('blob') && upstream.wrongBlobs.since(digest) === undefined)
      .map(({ name }) => name);
  }

  locateBlob({ repository }: Repository, digest: Digest, { signal }: OriginOptions = {}) {
    return this.#ask({ content: 'blob', method: 'HEAD', need: 'pull', repository, digest, signal }, locateBlob);
  }

  async list({ repository }: Repository, query: ListQuery, { signal }: OriginOptions = {}): Promise<OriginList> {
    const asked = { content: 'list', method: 'GET', need: 'resolve', repository, signal } as const;
    if (query.kind !== 'referrers') return this.#ask({ ...asked, query }, listNames);
    const empty: Upstream[] = [];
    try {
      return await this.#ask({ ...asked, query }, async (upstream, question) => {
        try {
          return await listReferrers(upstream, question);
        } catch (error) {
          if (error instanceof NoReferrersError) empty.push(upstream);
          throw error;
        }
      });
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      const none = noReferrers(query);
      if (error.kind === 'not-found') return { ...none, upstream: error.upstream, visibility: 'public' };
      // An upstream that has the subject knows its referrers, whatever keeps another from answering. A registry answers
      // with an empty list for a manifest that it lacks, too.
      const holder = await this.#holderAmong(empty, { repository, digest: query.digest, signal });
      if (holder === undefined) throw error;
      return { ...none, ...holder };
    }
  }

  /** The first of some upstreams that has a manifest; undefined where none says so. */
  async #holderAmong(
    upstreams: readonly Upstream[],
    { repository, digest, signal }: { repository: string; digest: Digest; signal: AbortSignal | undefined },
  ): Promise<Pick<OriginList, 'upstream' | 'visibility'> | undefined> {
    for (const upstream of upstreams) {
      try {
        const reference = { kind: 'digest', digest } as const;
        const head = await headManifest(upstream, {
          repository: nameAt(upstream, repository),
          reference,
          via: this.#viaOf(repository),
          signal,
        });
        return { upstream: head.upstream, visibility: head.visibility };
      } catch (error) {
        if (!(error instanceof UpstreamError)) throw error;
      }
    }
    return undefined;
  }

  async #ask<A extends Asked, T>(asked: A, ask: (upstream: Upstream, asked: A & WithVia) => Promise<T>): Promise<T> {
    const { repository, digest, signal } = asked;
    const { name: registry } = this.#registry;
    const { telemetry } = this.#context;
    const via = this.#viaOf(repository);
    signal?.throwIfAborted();
    // URLs are built from checked names only; this is the last place where an unchecked one would be noticed.
    if (repository !== '' && !isRepositoryName(repository)) {
      throw new UpstreamError('that is no repository name', { kind: 'not-found', upstream: registry });
    }
    const ordering = this.#ordered(asked);
    // Only a plugin takes time.
    const candidates = ordering instanceof Promise ? await ordering : ordering;
    signal?.throwIfAborted();
    const ordered = digest === undefined ? candidates : rightFirst(candidates, (each) => each.wrongBlobs.since(digest));
    return failOver(
      chosen(ordered, asked),
      (upstream) => ask(upstream, { ...asked, via, repository: nameAt(upstream, repository) }),
      {
        registry,
        telemetry,
        signal,
      },
    );
  }

  /** The upstreams that may be asked, in the order of the registry's strategy. */
  #ordered(asked: Asked): readonly Upstream[] | Promise<readonly Upstream[]> {
    const candidates = this.#candidates(asked.need);
    const { strategy } = this.#context;
    // One that is asked alone needs no order.
    return strategy === undefined || asked.only !== undefined
      ? candidates
      : strategy.order(candidates, questionOf(asked));
  }

  #viaOf(repository: string): Via | undefined {
    const { via } = this.#context;
    return via === undefined || repository === '' ? via : { ...via, repository };
  }

  /** In their order. An upstream that is known to be down is among them: it rejects at once. */
  #candidates(need: Need): readonly Upstream[] {
    return this.#registry.upstreams
      .filter((each) => each.capabilities.includes(need))
      .map((spec) => this.#context.upstreamFor(spec));
  }
}

/** Those that the caller names: one alone, or one before the others. */
function chosen(upstreams: readonly Upstream[], { prefer, only }: Asked): readonly Upstream[] {
  if (only !== undefined) return upstreams.filter(({ name }) => name === only);
  if (prefer === undefined) return upstreams;
  const isPreferred = ({ name }: Upstream): boolean => name === prefer;
  return [...upstreams.filter(isPreferred), ...upstreams.filter((each) => !isPreferred(each))];
}

function questionOf({ content, method, repository, reference, digest, size, offset = 0, end }: Asked): Question {
  const last = end ?? (size === undefined ? undefined : size - 1);
  return {
    content,
    method,
    repository,
    reference: digest === undefined ? reference : { kind: 'digest', digest },
    size: last === undefined ? undefined : last + 1 - offset,
  };
}

function needOf({ kind }: Reference): Need {
  return kind === 'tag' ? 'resolve' : 'pull';
}
