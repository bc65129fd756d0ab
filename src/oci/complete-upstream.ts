import type { RegistrySpec, UpstreamSpec } from './registry-spec.ts';
import type { TlsSpec, TransportSpec } from './transport-spec.ts';

/** What one upstream overrides of the common transport. */
interface TransportOverrides {
  readonly transport?:
    | Partial<
        Pick<
          TransportSpec,
          | 'firstFragmentLen'
          | 'allowPlainFallback'
          | 'outboundProxy'
          | 'dialTimeout'
          | 'tlsHandshakeTimeout'
          | 'responseHeaderTimeout'
          | 'bodyIdleTimeout'
          | 'maxConnsPerHost'
        >
      >
    | undefined;
  readonly tls?:
    | {
        readonly caFile?: string;
        readonly certFile?: string;
        readonly keyFile?: string;
        readonly insecureSkipVerify?: boolean;
      }
    | undefined;
}

/** An upstream as it is configured. */
export type ConfiguredUpstream = Omit<UpstreamSpec, 'transport'> & TransportOverrides;

/** A registry as it is configured. */
export type ConfiguredRegistry = Omit<RegistrySpec, 'upstreams'> & {
  readonly upstreams: readonly ConfiguredUpstream[];
};

/**
 * Completes an upstream: its own settings are merged with the common ones.
 *
 * An upstream without settings or credentials of its own gets the common object itself, and so shares connections with its
 * like. Redirect targets and token services never see the client certificate. A token service needs a valid certificate even
 * where the upstream does not: the upstream chose it, and a credential is sent to it.
 */
export function completeUpstream(configured: ConfiguredUpstream, common: TransportSpec): UpstreamSpec {
  const { tls, transport, ...upstream } = configured;
  if (tls === undefined && transport === undefined && upstream.credentials === undefined) {
    return { ...upstream, transport: { upstream: common, redirect: common, token: common } };
  }
  const { caFile, insecureSkipVerify = common.tls.insecureSkipVerify, ...certificate } = tls ?? {};
  const trusted = caFile === undefined ? common.tls.caFiles : [...common.tls.caFiles, caFile];
  const towards = (more: Partial<TlsSpec>): TransportSpec => ({
    ...common,
    ...transport,
    tls: { caFiles: trusted, insecureSkipVerify, ...more },
  });
  return {
    ...upstream,
    transport: {
      upstream: towards(certificate),
      redirect: towards({}),
      token: towards({ insecureSkipVerify: common.tls.insecureSkipVerify }),
    },
  };
}
