import type { UpstreamSpec } from '../oci/index.ts';

/** One place that is checked. */
export interface CheckTarget {
  readonly kind: 'registry' | 'mirror';
  /** The registry it belongs to, or the route. */
  readonly name: string;
  readonly spec: UpstreamSpec;
  /** Behind the upstream's URL: `/v2/` of a registry. */
  readonly path: string;
  /** A repository with a tag `latest` whose HEAD says what is left of the pulls, where asking for it costs none. */
  readonly quotaRepository?: string;
}

/** In the order they are taken. */
export type StepName = 'dns' | 'tcp' | 'outbound-proxy' | 'tls' | 'http' | 'token' | 'quota';

/** `warning`: it works, and something about it wants to be looked at. */
export type Outcome = 'ok' | 'warning' | 'failed';

interface Step<Name extends StepName> {
  readonly step: Name;
  readonly outcome: Outcome;
  /** Milliseconds, to a tenth. */
  readonly durationMs: number;
  /** For people: what was found, in one line. */
  readonly summary: string;
  /** What would do, unless all is well. */
  readonly remedy?: string | undefined;
}

/** The name became addresses: the upstream's, or the outbound proxy's where there is one. Left out for an address. */
export interface DnsStep extends Step<'dns'> {
  readonly host: string;
  /** A name server of `transport.dns`, `hosts` (its fixed addresses) or `system`. */
  readonly resolver: string;
  readonly addresses: readonly string[];
}

/** A connection to the upstream, or to the outbound proxy. */
export interface TcpStep extends Step<'tcp'> {
  /** The one that answered; null where none did. */
  readonly address: string | null;
  readonly port: number;
  readonly failedAttempts: readonly { readonly address: string; readonly reason: string }[];
}

/** The outbound proxy connected to the upstream, or did not. */
export interface OutboundProxyStep extends Step<'outbound-proxy'> {
  /** Without credentials; null where the setting cannot be read. */
  readonly address: string | null;
}

export interface TlsStep extends Step<'tls'> {
  /** `TLSv1.3`; null where no handshake was finished. */
  readonly version: string | null;
  /** Bytes of the ClientHello's first fragment in the handshake that came last; 0: in one piece. */
  readonly firstFragmentLen: number;
  /** Handshakes that were cut before. */
  readonly fallbacks: readonly { readonly from: number; readonly to: number; readonly reason: string }[];
  /** What it showed; null where it came to none. */
  readonly certificate: CertificateSummary | null;
  /** Whether it was trusted, by this server's own rules. */
  readonly trusted: boolean;
}

export interface CertificateSummary {
  readonly subject: string;
  readonly issuer: string;
  /** Names and addresses it is for; the first 20. */
  readonly names: readonly string[];
  /** ISO 8601. */
  readonly notBefore: string;
  /** ISO 8601. */
  readonly notAfter: string;
  /** Whole days until it ends; negative when it has. */
  readonly daysLeft: number;
  /** SHA-256 of the certificate, as OpenSSL writes it. */
  readonly fingerprint: string;
}

/** What it answers without a token: the question that says whether it is reachable. */
export interface HttpStep extends Step<'http'> {
  readonly method: 'HEAD' | 'GET';
  /** 0 where no answer came. */
  readonly status: number;
  /** Schemes it wants to be answered with, and where a token is to be had. */
  readonly challenges: readonly { readonly scheme: string; readonly realm: string | null }[];
}

/** How it receives a credential, or nobody in particular. */
export interface TokenStep extends Step<'token'> {
  /** `anonymous`, `header` (the operator's own `authorization`), or `1` for the first of its credentials. */
  readonly credential: string;
  /** Status of the token service; 0 where it did not answer, null where none was asked. */
  readonly tokenStatus: number | null;
  /** Status of the upstream afterwards; 0 where it did not come to that. */
  readonly status: number;
}

/** Pulls left of its limit. Only where it says. */
export interface QuotaStep extends Step<'quota'> {
  /** A user name, or `anonymous`. */
  readonly credential: string;
  readonly limit: number | null;
  readonly remaining: number;
  readonly windowSeconds: number | null;
}

export type StepReport = DnsStep | TcpStep | OutboundProxyStep | TlsStep | HttpStep | TokenStep | QuotaStep;

/** What came of checking one place. */
export interface UpstreamReport {
  readonly kind: CheckTarget['kind'];
  /** The registry it belongs to, or the route. */
  readonly name: string;
  readonly upstream: string;
  readonly url: string;
  /** It answered with a status below 500. */
  readonly reachable: boolean;
  /** The worst of its steps. */
  readonly outcome: Outcome;
  readonly durationMs: number;
  readonly steps: readonly StepReport[];
}

/** Milliseconds as they are reported. */
export function tenths(milliseconds: number): number {
  return Math.round(Math.max(0, milliseconds) * 10) / 10;
}
