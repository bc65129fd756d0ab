import type { UpstreamSpec } from '../oci/index.ts';

// What the exchange itself decides; an operator's header cannot change it without breaking it.
const RESERVED =
  /^(?:host|accept|accept-encoding|range|if-.*|content-.*|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect)$/;

// What says who asks without giving a right to anything.
const HARMLESS = /^(?:user-agent|accept-language|via|from|referer)$/;

/** The operator's headers for one upstream, by lower-case names, without those that are not theirs to set. */
export function ownHeaders(spec: UpstreamSpec): Readonly<Record<string, string>> {
  const entries = Object.entries(spec.headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(entries.filter(([name]) => !RESERVED.test(name)));
}

/**
 * True where every answer of the upstream may be due to who we are: a client certificate, or a header that may be a key.
 * Wrongly private costs a check later; wrongly public would show somebody what they may not see.
 */
export function identifiesUs(spec: UpstreamSpec): boolean {
  return spec.tls?.certFile !== undefined || Object.keys(ownHeaders(spec)).some((name) => !HARMLESS.test(name));
}
