import type { Config } from '../../config/index.ts';
import type { Mirrors } from '../../sites/index.ts';
import type { MirrorSpec, SiteOptions } from '../../upstream/index.ts';
import { loadSites, loadUpstream } from './lazy.ts';
import { tlsOf, transportOf } from './transport.ts';

/** The mirror routes with their sites; undefined where there are none. No site is asked before a client asks. */
export async function sitesOf(
  config: Config,
  options: Omit<SiteOptions, 'spec'>,
): Promise<Omit<Mirrors, 'urls'> | undefined> {
  // Most servers have none, and nothing to load for them.
  if (config.mirrors.length === 0) return undefined;
  const [{ MirrorRoutes }, { Site }] = await Promise.all([loadSites(), loadUpstream()]);
  const specs = config.mirrors.map(mirrorSpecOf);
  const sites = new Map(specs.map((spec) => [spec.name, new Site({ ...options, spec })]));
  return {
    routes: new MirrorRoutes(specs),
    publicUrl: config.public_url,
    siteOf({ name }) {
      const site = sites.get(name);
      if (site === undefined) throw new TypeError(`There is no mirror route called ${name}`);
      return site;
    },
  };
}

/** One mirror route in the words of those who serve it. */
export function mirrorSpecOf(mirror: Config['mirrors'][number]): MirrorSpec {
  const { name, prefix, upstream, preserve_host, methods, cache, credentials, headers, tls, transport } = mirror;
  return {
    name,
    prefix,
    upstream,
    preserveHost: preserve_host,
    methods,
    cache: cache === 'off' ? { enabled: false, immutable: [] } : { enabled: true, immutable: cache.immutable },
    // A list is refused when the configuration is read.
    credentials: Array.isArray(credentials) ? credentials[0] : credentials,
    headers,
    tls: tls === undefined ? undefined : tlsOf(tls),
    ...(transport === undefined ? {} : { transport: transportOf(transport) }),
    redirectHosts: mirror.redirect_hosts,
  };
}
