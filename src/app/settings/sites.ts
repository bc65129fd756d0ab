import type { Config } from '../../config/index.ts';
import type { Mirrors } from '../../sites/index.ts';
import type { MirrorSpec, SiteOptions } from '../../upstream/index.ts';
import { loadSites, loadUpstream } from './lazy.ts';

/** The mirror routes with their sites; undefined where there are none. Opens no connection. */
export async function sitesOf(
  specs: readonly MirrorSpec[],
  { publicUrl, ...options }: Omit<SiteOptions, 'spec'> & Pick<Mirrors, 'publicUrl'>,
): Promise<Omit<Mirrors, 'urls'> | undefined> {
  // Most servers have none, so the rooms for them are not loaded.
  if (specs.length === 0) return undefined;
  const [{ MirrorRoutes }, { Site }] = await Promise.all([loadSites(), loadUpstream()]);
  const sites = new Map(specs.map((spec) => [spec.name, new Site({ ...options, spec })]));
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

/** A mirror route with its site as an upstream. */
export function mirrorSpecOf(mirror: Config['mirrors'][number]): MirrorSpec {
  const { upstream: url, credentials, headers, tls, transport, redirectHosts, ...route } = mirror;
  const site = { name: route.name, url, credentials, headers, tls, transport, redirectHosts };
  return { ...route, upstream: { ...site, capabilities: ['pull'], tokenRealms: [] } };
}
