import type { Config } from '../../config/index.ts';
import { completeUpstream, type TransportSpec } from '../../oci/index.ts';
import type { Door } from '../../server/index.ts';
import type { Mirrors } from '../../sites/index.ts';
import type { MirrorSpec, UpstreamContext } from '../../upstream/index.ts';
import { loadSites, loadUpstream } from './lazy.ts';

/** The door of the mirror routes; none where there are none, as on most servers. Opens no connection. */
export async function siteDoorsOf(
  specs: readonly MirrorSpec[],
  { context, ...options }: Pick<Mirrors, 'publicUrls' | 'urls'> & { readonly context: UpstreamContext },
): Promise<readonly Door[]> {
  if (specs.length === 0) return [];
  const [{ createSitesDoor, MirrorRoutes }, { Site }] = await Promise.all([loadSites(), loadUpstream()]);
  const sites = new Map(specs.map((spec) => [spec.name, new Site(spec, context)]));
  const siteOf: Mirrors['siteOf'] = ({ name }) => {
    const site = sites.get(name);
    if (site === undefined) throw new TypeError(`There is no mirror route called ${name}`);
    return site;
  };
  return [createSitesDoor({ ...options, routes: new MirrorRoutes(specs), siteOf })];
}

/** A mirror route with its site as an upstream. @param common the transport of sites without settings of their own */
export function mirrorSpecOf(mirror: Config['mirrors'][number], common: TransportSpec): MirrorSpec {
  const { upstream: url, credentials, headers, tls, transport, redirectHosts, ...route } = mirror;
  const site = { name: route.name, url, credentials, headers, tls, transport, redirectHosts };
  return { ...route, upstream: completeUpstream({ ...site, capabilities: ['pull'], tokenRealms: [] }, common) };
}
