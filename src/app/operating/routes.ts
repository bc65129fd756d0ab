import type { Route } from '../../admin/index.ts';
import { type Digest, digestOf, type RegistrySpec, type StrategySpec } from '../../oci/index.ts';
import { formatBytes } from '../../telemetry/index.ts';
import type { Question, RoutedUpstream } from '../../upstream/index.ts';
import type { RunningServer } from '../running-server.ts';

type Sets = Pick<RunningServer['parts'], 'upstreamSets'>;
type Strategic = RegistrySpec & { readonly strategy: StrategySpec };

/** The registries with a strategy, and the order in which their upstreams are asked for blobs. No plugin is asked. */
export async function routesOf({ live, parts }: Pick<RunningServer, 'live' | 'parts'>): Promise<readonly Route[]> {
  const registries = live.current.upstreams.catalogue.list();
  return Promise.all(
    registries.filter(hasStrategy).map(async (registry) => {
      const { by, weights } = registry.strategy;
      // By weight each digest has an order of its own, and by a plugin too: shown is that of the weights or the configuration.
      const asked = by === 'fastest' ? registry : { ...registry, strategy: undefined };
      const upstreams = await parts.upstreamSets.routeOf(asked, ANY_BLOB);
      // As by weight itself: one that fails comes last.
      const weightOf = ({ upstream, state }: RoutedUpstream): number =>
        state === 'resting' ? -1 : (weights.get(upstream) ?? 1);
      const ordered = by === 'weighted' ? upstreams.toSorted((a, b) => weightOf(b) - weightOf(a)) : upstreams;
      return describe(registry, { ordered, parts, isAsked: false });
    }),
  );
}

/** The order in which the upstreams of a registry would be asked a question now; undefined without a strategy. A plugin is asked. */
export async function routeOf(
  registry: RegistrySpec,
  { parts, repository, digest }: { readonly parts: Sets; readonly repository: string; readonly digest: Digest },
): Promise<Route | undefined> {
  if (!hasStrategy(registry)) return undefined;
  const question: Question = { content: 'manifest', method: 'GET', repository, reference: { kind: 'digest', digest } };
  return describe(registry, {
    ordered: await parts.upstreamSets.routeOf(registry, question),
    parts,
    isAsked: true,
  });
}

/** The digest of no bytes stands for any: which one it is makes no difference to what is fastest. */
const ANY_BLOB: Question = {
  content: 'blob',
  method: 'GET',
  repository: '',
  reference: { kind: 'digest', digest: digestOf(Buffer.alloc(0)) },
};

function hasStrategy(registry: RegistrySpec): registry is Strategic {
  const { strategy, upstreams } = registry;
  return strategy !== undefined && strategy.by !== 'ordered' && upstreams.length > 1;
}

function describe(
  registry: Strategic,
  {
    ordered,
    parts,
    isAsked,
  }: { readonly ordered: readonly RoutedUpstream[]; readonly parts: Sets; readonly isAsked: boolean },
): Route {
  const { by, tags, weights } = registry.strategy;
  const plugin = by === 'plugin' ? parts.upstreamSets.pluginOf(registry) : undefined;
  const isWorking = plugin?.state === 'working';
  const said = isAsked ? 'as the plugin says' : 'the plugin decides for each request';
  const ofPlugin = isWorking ? said : 'in the order of the configuration';
  const sum = ordered.reduce((total, { upstream }) => total + (weights.get(upstream) ?? 1), 0);
  return {
    registry: registry.name,
    by,
    tags,
    ...(plugin !== undefined && { plugin }),
    upstreams: ordered.map((each) => {
      const weight = weights.get(each.upstream) ?? 1;
      const why = { fastest: sayPace(each), weighted: sayWeight(weight, sum), plugin: ofPlugin, ordered: '' }[by];
      // A plugin may put one that fails anywhere.
      const failing = by === 'plugin' ? `failing, ${why}` : 'failing, so last';
      return { ...each, ...(by !== 'fastest' && { weight }), why: each.state === 'resting' ? failing : why };
    }),
  };
}

function sayPace({ latencyMs, bytesPerSecond }: RoutedUpstream): string {
  if (latencyMs === undefined) return 'not measured in the last half hour';
  const rate = bytesPerSecond === undefined ? '' : `, sends ${formatBytes(bytesPerSecond)}/s`;
  return `answers in ${latencyMs < 10 ? latencyMs.toFixed(1) : Math.round(latencyMs)} ms${rate}`;
}

function sayWeight(weight: number, sum: number): string {
  if (weight === 0) return 'only after all others';
  return `first for ${Math.round((100 * weight) / sum)} % of all digests`;
}
