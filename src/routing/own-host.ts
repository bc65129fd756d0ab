import type { Catalogue } from './catalogue.ts';
import { canonicalHost, withoutPort } from './host.ts';

// How people write names of images: with the host of this server in front, as they gave it to their client.

/**
 * Takes this server's own host off the front of an image's name: `mirror.example:5000/ghcr.io/ours/app:1` is `ghcr.io/ours/app:1`, and
 * `localhost:5000/nginx` is `nginx`. A host that names a registry, by `domain_suffix`, becomes the registry:
 * `ghcr.mirror.example/ours/app` is `ghcr.io/ours/app`.
 *
 * A registry that is configured or known comes first: where `localhost:5001` is one, its images keep their name. Any other text is returned as it is.
 */
export function withoutOwnHost(catalogue: Catalogue, text: string): string {
  const slash = text.indexOf('/');
  const host = slash === -1 ? undefined : canonicalHost(text.slice(0, slash));
  if (host === undefined || catalogue.byHost(host) !== undefined) return text;
  const rest = text.slice(slash + 1);
  const registry = registryOfSubdomain(catalogue, host);
  if (registry !== undefined) return `${registry}/${rest}`;
  return isLoopbackPort(host) || catalogue.ownHosts.has(host) ? rest : text;
}

/** The registry that a name below `domain_suffix` stands for. */
function registryOfSubdomain(catalogue: Catalogue, host: string): string | undefined {
  const { domainSuffix } = catalogue;
  const name = withoutPort(host);
  if (domainSuffix === undefined || !name.endsWith(`.${domainSuffix}`)) return undefined;
  return catalogue.byAlias(name.slice(0, -domainSuffix.length - 1))?.name;
}

/**
 * A port of the machine itself. No registry is there that the catalogue does not know: this server asks no private address that a client
 * names. Which port it is does not matter, as a container or a tunnel may publish ours under another.
 */
function isLoopbackPort(host: string): boolean {
  const name = withoutPort(host);
  return name !== host && (name === 'localhost' || name.endsWith('.localhost') || /^127(?:\.\d{1,3}){3}$/.test(name));
}
