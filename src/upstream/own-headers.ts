import type { Via } from '../lib/index.ts';
import type { UpstreamSpec } from '../oci/index.ts';

// Headers that belong to the exchange; the operator cannot set them without breaking it.
const RESERVED =
  /^(?:host|accept|accept-encoding|range|if-.*|content-.*|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect)$/;

// Headers that grant no permission.
const HARMLESS = /^(?:user-agent|accept-language|via|from|referer)$/;

/** The operator's headers for one upstream, by lower-case names, without the reserved ones. */
export function ownHeaders(spec: UpstreamSpec): Readonly<Record<string, string>> {
  const entries = Object.entries(spec.headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(entries.filter(([name]) => !RESERVED.test(name)));
}

/** Adds this server's chain to the operator's headers, behind a `via` of the operator's own. */
export function withVia(headers: Readonly<Record<string, string>>, via: Via | undefined): Record<string, string> {
  if (via === undefined) return { ...headers };
  const own = headers['via'];
  return { ...headers, via: own === undefined ? via.header : `${own}, ${via.header}` };
}

/**
 * True where every answer may depend on our identity: by a client certificate, or a header that may be a key. Wrongly
 * private costs a check later; wrongly public would disclose private content.
 */
export function identifiesUs(spec: UpstreamSpec): boolean {
  return (
    spec.transport.upstream.tls.certFile !== undefined ||
    Object.keys(ownHeaders(spec)).some((name) => !HARMLESS.test(name))
  );
}
