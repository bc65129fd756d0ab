import type { RegistrySpec, UpstreamSpec } from './registry-spec.ts';

// Headers that belong to the exchange; the operator cannot set them without breaking it.
const RESERVED =
  /^(?:host|accept|accept-encoding|range|if-.*|content-.*|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect)$/;

// Headers that grant no permission.
const HARMLESS = /^(?:user-agent|accept-language|via|from|referer)$/;

/** The operator's headers for one upstream, by lower-case names, without the reserved ones. */
export function ownHeaders({ headers }: Pick<UpstreamSpec, 'headers'>): Readonly<Record<string, string>> {
  const entries = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(entries.filter(([name]) => !RESERVED.test(name)));
}

/**
 * True where every answer may depend on our identity: by a client certificate, or a header that may be a key. Wrongly
 * private costs a check later; wrongly public would disclose private content.
 */
export function identifiesUs(spec: UpstreamSpec): boolean {
  return spec.transport.upstream.tls.certFile !== undefined || Object.keys(spec.headers).some(mayBeKey);
}

/** True for a header of the operator's that may be a key. */
export function mayBeKey(name: string): boolean {
  const lower = name.toLowerCase();
  return !RESERVED.test(lower) && !HARMLESS.test(lower);
}

/** True where an upstream may answer us with what it would not show to every client. */
export function isKnownTo(spec: UpstreamSpec): boolean {
  return spec.credentials !== undefined || identifiesUs(spec);
}

/** An upstream as a client without a credential meets it; undefined where only our certificate opens a connection. */
function withoutIdentity(spec: UpstreamSpec): UpstreamSpec | undefined {
  if (spec.transport.upstream.tls.certFile !== undefined) return undefined;
  const headers = Object.entries(ownHeaders(spec)).filter(([name]) => HARMLESS.test(name));
  return { ...spec, credentials: undefined, headers: Object.fromEntries(headers) };
}

/**
 * The upstreams of a registry that may show us more than every client sees, each as a registry of its own and without our
 * identity. What all of them show then is public. Empty where all of the registry is public; undefined where that cannot be
 * found out.
 */
export function anonymousViewsOf(registry: RegistrySpec): readonly RegistrySpec[] | undefined {
  const views: RegistrySpec[] = [];
  for (const spec of registry.upstreams) {
    if (!isKnownTo(spec)) continue;
    const anonymous = withoutIdentity(spec);
    if (anonymous === undefined) return undefined;
    // A tag may be looked up there, even if tags are resolved elsewhere.
    views.push({ ...registry, upstreams: [{ ...anonymous, capabilities: ['pull', 'resolve'] }] });
  }
  return views;
}
