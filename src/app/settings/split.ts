import type { SplitOf } from '../../cache/index.ts';
import type { Config } from '../../config/index.ts';
import type { RegistrySpec } from '../../oci/index.ts';
import type { Catalogue } from '../../routing/index.ts';

/**
 * How the blobs of each upstream are split: as it says itself, then its registry, then all of them. Segments have half of the
 * connections of a host, less the one of the transfer's front; upstreams of one host share them.
 */
export function splitOf(
  { transfer, transport }: Pick<Config, 'transfer' | 'transport'>,
  catalogue: Pick<Catalogue, 'list'>,
): SplitOf {
  let registries: ReadonlyMap<string, RegistrySpec> | undefined;
  return (registry, upstream) => {
    registries ??= new Map(catalogue.list().map((spec) => [spec.name, spec]));
    const spec = registries.get(registry);
    const from = spec?.upstreams.find(({ name }) => name === upstream);
    // A registry that a client named has the common transport.
    const { upstream: own, redirect } = from?.transport ?? { upstream: transport, redirect: transport };
    const most = Math.min(connectionsOf(own), connectionsOf(redirect));
    const host = from === undefined ? undefined : new URL(from.url).host;
    const mostOfUpstream = Math.max(0, Math.ceil(most / 2) - 1);
    return { ...transfer, ...spec?.transfer, ...from?.transfer, mostOfUpstream, host };
  };
}

function connectionsOf({ maxConnsPerHost: most }: { readonly maxConnsPerHost: number }): number {
  return most === 0 ? Number.POSITIVE_INFINITY : most;
}
