import {
  type ConfiguredUpstream,
  completeUpstream,
  type TransportSpec,
  type UpstreamSpec,
} from '../../src/oci/index.ts';

/** The default transport: no outbound proxy, the system's resolver, no private address behind a redirect. */
export const TRANSPORT: TransportSpec = {
  dialTimeout: 10_000,
  tlsHandshakeTimeout: 10_000,
  responseHeaderTimeout: 30_000,
  bodyIdleTimeout: 30_000,
  idleConnTimeout: 15_000,
  maxIdleConnsPerHost: 16,
  maxIdleConns: 256,
  maxConnsPerHost: 64,
  keepalive: 30_000,
  firstFragmentLen: 0,
  allowPlainFallback: true,
  outboundProxy: 'none',
  tls: { caFiles: [], insecureSkipVerify: false },
  dns: undefined,
  allowPrivate: [],
};

/** Completes the upstreams of a catalogue. */
export function complete(_registry: string, configured: ConfiguredUpstream): UpstreamSpec {
  return completeUpstream(configured, TRANSPORT);
}

/** An upstream with the default settings, and those that are given. */
export function upstreamSpec(
  given: Partial<ConfiguredUpstream> & { readonly url: string },
  transport: Partial<TransportSpec> = {},
): UpstreamSpec {
  const configured: ConfiguredUpstream = {
    name: new URL(given.url).host,
    credentials: undefined,
    headers: {},
    capabilities: ['pull', 'resolve'],
    tokenRealms: [],
    redirectHosts: undefined,
    ...given,
  };
  return completeUpstream(configured, { ...TRANSPORT, ...transport });
}
