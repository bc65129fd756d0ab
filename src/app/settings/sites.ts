import type { Config } from '../../config/index.ts';
import { completeUpstream, type TransportSpec } from '../../oci/index.ts';
import type { Mirrors } from '../../sites/index.ts';
import type { MirrorSpec, UpstreamContext } from '../../upstream/index.ts';
import { loadSites, loadUpstream } from './lazy.ts';

/** The mirror routes with their sites; undefined where there are none. Opens no connection. */
export async function sitesOf(
  specs: readonly MirrorSpec[],
  { publicUrl, context }: Pick<Mirrors, 'publicUrl'> & { readonly context: UpstreamContext },
): Promise<Omit<Mirrors, 'urls'> | undefined> {
  // Most servers have none, so the rooms for them are not loaded.
  if (specs.length === 0) return undefined;
  const [{ MirrorRoutes }, { Site }] = await Promise.all([loadSites(), loadUpstream()]);
  const sites = new Map(specs.map((spec) => [spec.name, new Site(spec, context)]));
  return {
    routes: new MirrorRoutes(specs),
    publicUrl,
    siteOf({ name }) {
      const site = sites.get(name);
      if (site === undefined) throw new TypeError(`There is no mirror route called ${name}`);
      return site;
    },
  };
}

/** A mirror route with its site as an upstream. @param common the transport of sites without settings of their own */
export function mirrorSpecOf(mirror: Config['mirrors'][number], common: TransportSpec): MirrorSpec {
  const { upstream: url, credentials, headers, tls, transport, redirectHosts, ...route } = mirror;
  const site = { name: route.name, url, credentials, headers, tls, transport, redirectHosts };
  return { ...route, upstream: completeUpstream({ ...site, capabilities: ['pull'], tokenRealms: [] }, common) };
}
