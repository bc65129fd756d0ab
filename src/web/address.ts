import { isHostHeader, listedUrl, type OwnNames, ownBase } from '../server/index.ts';

/**
 * The address of this server as its examples name it: that of the request, unless the server has a `public_url` and the request
 * names none of its names.
 *
 * @param asked.host of the request; `localhost` takes its place where it cannot be repeated
 */
export function serverAddressOf(
  { domainSuffix, publicUrls }: OwnNames,
  { host: asked, secure }: { readonly host: string; readonly secure: boolean },
): { readonly host: string; readonly url: string } {
  const scheme = secure ? 'https' : 'http';
  const own = publicUrls.length === 0 ? undefined : ownBase({ host: asked, scheme }, { publicUrls, domainSuffix });
  const named = isNamed(asked) ? asked.toLowerCase() : 'localhost';
  const host = withoutSubHost(own === undefined ? named : new URL(own).host, domainSuffix);
  return { host, url: listedUrl(publicUrls, { host, scheme }) ?? `${scheme}://${host}` };
}

/** Whether the examples can use this host: valid in a request and in a URL (`1.2.3.999` is not). */
function isNamed(host: string): boolean {
  return isHostHeader(host) && URL.canParse(`http://${host}`);
}

/** Under `ghcr.SUFFIX` a bare name means GHCR, so the examples use the name of the server itself. */
function withoutSubHost(host: string, domainSuffix: string | undefined): string {
  const [name = '', port] = host.startsWith('[') ? [host] : host.split(':');
  if (domainSuffix === undefined || !name.endsWith(`.${domainSuffix}`)) return host;
  return port === undefined ? domainSuffix : `${domainSuffix}:${port}`;
}
