import { createHash } from 'node:crypto';
import type { Config } from '../config/index.ts';
import { Lru, type Via } from '../lib/index.ts';
import {
  type AnonymousSources,
  anonymousViewsOf,
  completeUpstream,
  type OriginSource,
  type PushOriginSource,
  type RegistrySpec,
  type TransportSpec,
  type UpstreamSpec,
} from '../oci/index.ts';
import type { Catalogue } from '../routing/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type {
  MirrorSpec,
  PluginView,
  Question,
  RoutedUpstream,
  SupervisedPlugin,
  UpstreamContext,
  Upstreams,
} from '../upstream/index.ts';
import { type ListOfStored, OfflineError, offlineOrigin } from './offline.ts';
import { closePlugins, openPlugins, type Plugins } from './plugins.ts';
import {
  ClientPool,
  catalogueOf,
  loadUpstream,
  mirrorSpecOf,
  readUpstreamFiles,
  transportOf,
} from './settings/index.ts';

/** The registries and mirror routes of one configuration. */
export interface UpstreamSet {
  readonly catalogue: Catalogue;
  readonly mirrors: readonly MirrorSpec[];
  /** That of upstreams without settings of their own. */
  readonly transport: TransportSpec;
  /** Equal for transports that connect alike, the contents of their files included. */
  readonly transportKey: string;
  /** The routing plugins that its registries have. */
  readonly plugins: Plugins;
}

/** Upstreams that are interned. One that is evicted loses its tokens, health and connections at the next reload. */
const MAX_INTERNED = 8192;

/**
 * Composes the upstreams of one configuration after another, and interns them: an upstream whose settings and files did
 * not change stays the same object, and so keeps its connections, tokens and health.
 */
export class UpstreamSets {
  readonly clients: ClientPool;
  /** What upstreams and mirrored sites are made with. */
  readonly context: UpstreamContext;
  /** True: no upstream and no mirrored site is asked, by `offline`. */
  isOffline = false;
  /** What is stored of lists, while it is offline. */
  listOfStored: ListOfStored | undefined;
  readonly #specs = new Lru<UpstreamSpec>({ maxWeight: MAX_INTERNED });
  /** Those that an origin of a registry asks for its order. */
  readonly #plugins = new WeakMap<RegistrySpec, SupervisedPlugin>();
  /** Those of the sets that are not retired. */
  readonly #opened = new Set<Plugins>();
  readonly #anonymous = new WeakMap<RegistrySpec, ReturnType<typeof anonymousViewsOf>>();
  #upstreams: Upstreams | undefined;

  constructor(telemetry: Telemetry) {
    this.clients = new ClientPool(telemetry);
    this.context = {
      httpClientFor: async (transport) => {
        // Whatever leads to an upstream or a mirrored site comes by here.
        if (this.isOffline) throw new OfflineError();
        return await this.clients.clientFor(transport);
      },
      telemetry,
      now: Date.now,
      pluginOf: (registry) => this.#plugins.get(registry),
    };
  }

  /** The upstreams of a configuration. @param before the set that is in use @throws {SettingsError} */
  async open(config: Config, before?: UpstreamSet): Promise<UpstreamSet> {
    const files = await readUpstreamFiles(config);
    const wanted = transportOf(config);
    const transportKey = keyOf(wanted, { transport: wanted, files });
    const transport = before?.transportKey === transportKey ? before.transport : wanted;
    const intern = (registry: string, spec: UpstreamSpec): UpstreamSpec => this.#intern(registry, spec, files);
    const catalogue = await catalogueOf(config, {
      complete: (registry, configured) => intern(registry, completeUpstream(configured, transport)),
    });
    const mirrors = config.mirrors.map((mirror) => {
      const route = mirrorSpecOf(mirror, transport);
      // No registry has a space in its name.
      return { ...route, upstream: intern(`mirror ${route.name}`, route.upstream) };
    });
    // Last, as it is to be closed again: a reload loads them all again, with the files that they import.
    const plugins = await openPlugins(config, this.context.telemetry);
    for (const registry of catalogue.list()) {
      const plugin = plugins.get(registry.strategy?.plugin ?? '');
      if (plugin !== undefined) this.#plugins.set(registry, plugin);
    }
    this.#opened.add(plugins);
    return { catalogue, mirrors, transport, transportKey, plugins };
  }

  /** Closes every connection, and every plugin. */
  async close(): Promise<void> {
    for (const plugins of this.#opened) closePlugins(plugins);
    this.#opened.clear();
    await this.clients.close();
  }

  /** How the routing plugin of a registry does; undefined where it has none. */
  pluginOf(registry: RegistrySpec): PluginView | undefined {
    return this.#plugins.get(registry)?.view;
  }

  /** The upstreams of a registry, for a request that has come this way. The room for them is loaded by the first request that needs it, not at the start. */
  originOf(registry: RegistrySpec, via: Via | undefined): OriginSource {
    return this.#originOf(registry, via, () => this.listOfStored);
  }

  #originOf(registry: RegistrySpec, via: Via | undefined, listOfStored: () => ListOfStored | undefined): OriginSource {
    const open = async () =>
      this.isOffline ? offlineOrigin(registry.name, listOfStored()) : (await this.#all()).originOf(registry, via);
    return Object.assign(open, { hops: via?.hops ?? 0, request: via?.request });
  }

  /** The upstream of a registry that takes pushes, for a request that has come this way. */
  pushOriginOf(registry: RegistrySpec, via: Via | undefined): PushOriginSource {
    return async () => (await this.#all()).pushOriginOf(registry, via);
  }

  /**
   * The upstreams of a registry as clients without a credential meet them; undefined where one answers only to our certificate.
   * Their health is their own.
   */
  anonymousOf(registry: RegistrySpec, via: Via | undefined): AnonymousSources | undefined {
    const views = this.#anonymous.get(registry) ?? anonymousViewsOf(registry);
    if (views === undefined) return undefined;
    this.#anonymous.set(registry, views);
    const upstreams = views.flatMap((view) =>
      view.upstreams.map(({ url, repositoryPrefix = '' }) => `${url} ${repositoryPrefix}`),
    );
    // What is stored here says nothing of what clients without a credential see.
    return {
      sources: views.map((view) => this.#originOf(view, via, () => undefined)),
      upstreams: upstreams.join('\n'),
    };
  }

  /** The health of those upstreams of a registry that were asked so far. */
  healthOf(registry: RegistrySpec): ReturnType<Upstreams['healthOf']> {
    return this.#upstreams?.healthOf(registry) ?? [];
  }

  /** The upstreams in the order in which a question would go to them now; makes no request. */
  async routeOf(registry: RegistrySpec, question: Question): Promise<readonly RoutedUpstream[]> {
    return (await this.#all()).routeOf(registry, question);
  }

  /** Closes what only one set needs, as its requests end; what another one needs is kept. */
  retire(set: UpstreamSet, kept: UpstreamSet): void {
    const removed = new Set(allUpstreamsOf(set)).difference(new Set(allUpstreamsOf(kept)));
    // Should one come back, it is a new object with new clients: those of the old one close.
    for (const [key, spec] of this.#specs.entries()) if (removed.has(spec)) this.#specs.delete(key);
    void this.clients.retire(transportsOf(set), transportsOf(kept));
    closePlugins(set.plugins);
    this.#opened.delete(set.plugins);
  }

  async #all(): Promise<Upstreams> {
    if (this.#upstreams === undefined) {
      const { createUpstreams } = await loadUpstream();
      this.#upstreams ??= createUpstreams(this.context);
    }
    return this.#upstreams;
  }

  #intern(registry: string, spec: UpstreamSpec, files: TlsFiles): UpstreamSpec {
    const key = keyOf([registry, spec], { transport: spec.transport.upstream, files });
    const known = this.#specs.get(key) ?? spec;
    this.#specs.set(key, known);
    return known;
  }
}

/** Whether two sets have the same upstreams; the names of registries may differ. */
export function hasSameUpstreams(one: UpstreamSet, other: UpstreamSet): boolean {
  return new Set(upstreamsOf(one)).symmetricDifference(new Set(upstreamsOf(other))).size === 0;
}

type TlsFiles = Awaited<ReturnType<typeof readUpstreamFiles>>;

/** A key of a value, and of the contents of the files that its transport names. */
function keyOf(value: unknown, { transport, files }: { readonly transport: TransportSpec; readonly files: TlsFiles }) {
  const { caFiles, certFile, keyFile } = transport.tls;
  const contents = [...caFiles, certFile, keyFile].map((file) => files.get(file ?? ''));
  return createHash('sha256')
    .update(JSON.stringify([value, contents]))
    .digest('base64');
}

function upstreamsOf({ catalogue }: UpstreamSet): readonly UpstreamSpec[] {
  return catalogue.list().flatMap(({ upstreams }) => upstreams);
}

function allUpstreamsOf(set: UpstreamSet): readonly UpstreamSpec[] {
  return [...upstreamsOf(set), ...set.mirrors.map(({ upstream }) => upstream)];
}

function transportsOf(set: UpstreamSet): readonly TransportSpec[] {
  return [set.transport, ...allUpstreamsOf(set).flatMap(({ transport }) => Object.values(transport))];
}
