import type { Config } from '../../config/index.ts';
import type { TransportSpec } from '../../oci/index.ts';

/** The `transport` section: how upstreams without settings of their own are connected to. */
export function transportOf({ transport }: Config): TransportSpec {
  const { caFile, insecureSkipVerify, dns, ...options } = transport;
  const { dialTimeout, tlsHandshakeTimeout, firstFragmentLen, allowPlainFallback } = options;
  const caFiles = caFile === undefined ? [] : [caFile];
  const isSystem = dns.servers.length === 0 && Object.keys(dns.hosts).length === 0;
  return {
    ...options,
    tls: { caFiles, insecureSkipVerify },
    dns: isSystem
      ? undefined
      : { ...dns, caFiles, dialTimeout, tlsHandshakeTimeout, firstFragmentLen, allowPlainFallback },
  };
}
