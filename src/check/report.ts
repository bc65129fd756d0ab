import type { UpstreamSpec } from '../oci/index.ts';

/** An upstream or a mirror route to check. */
export interface CheckTarget {
  readonly kind: 'registry' | 'mirror';
  /** The registry of the upstream, or the route. */
  readonly name: string;
  readonly spec: UpstreamSpec;
  /** Appended to the upstream's URL: `/v2/` of a registry. */
  readonly path: string;
  /** A repository with a tag `latest` whose HEAD tells the remaining pulls without counting as one. */
  readonly quotaRepository?: string;
}

/** In their order. */
export type StepName = 'dns' | 'tcp' | 'outbound-proxy' | 'tls' | 'http' | 'token' | 'quota';

/** `warning`: it works, but needs attention. */
export type Outcome = 'ok' | 'warning' | 'failed';

interface Step<Name extends StepName> {
  readonly step: Name;
  readonly outcome: Outcome;
  /** Milliseconds, to a tenth. */
  readonly durationMs: number;
  /** The finding in one line. */
  readonly summary: string;
  /** The remedy; undefined where all is well. */
  readonly remedy?: string | undefined;
}

/** The name lookup: of the upstream, or of the outbound proxy where there is one. Left out where the URL has an address. */
export interface DnsStep extends Step<'dns'> {
  readonly host: string;
  /** A name server of `transport.dns`, `hosts` (its fixed addresses) or `system`. */
  readonly resolver: string;
  readonly addresses: readonly string[];
}

/** The connection to the upstream, or to the outbound proxy. */
export interface TcpStep extends Step<'tcp'> {
  /** The address that answered; null where none did. */
  readonly address: string | null;
  readonly port: number;
  readonly failedAttempts: readonly { readonly address: string; readonly reason: string }[];
}

/** The outbound proxy's connection to the upstream. */
export interface OutboundProxyStep extends Step<'outbound-proxy'> {
  /** The proxy without credentials; null where the setting is invalid. */
  readonly address: string | null;
}

export interface TlsStep extends Step<'tls'> {
  /** `TLSv1.3`; null where no handshake finished. */
  readonly version: string | null;
  /** Bytes of the ClientHello's first fragment in the last handshake; 0: in one piece. */
  readonly firstFragmentLen: number;
  /** Earlier handshakes that were cut. */
  readonly fallbacks: readonly { readonly from: number; readonly to: number; readonly reason: string }[];
  /** The server's certificate; null where the handshake did not get that far. */
  readonly certificate: CertificateSummary | null;
  /** Whether the certificate is trusted, by the rules of pulls. */
  readonly trusted: boolean;
}

export interface CertificateSummary {
  readonly subject: string;
  readonly issuer: string;
  /** Its names and addresses; the first 20. */
  readonly names: readonly string[];
  /** ISO 8601. */
  readonly notBefore: string;
  /** ISO 8601. */
  readonly notAfter: string;
  /** Whole days until it expires; negative once it has. */
  readonly daysLeft: number;
  /** SHA-256 of the certificate, as OpenSSL writes it. */
  readonly fingerprint: string;
}

/** The answer to a request without a token: it decides whether the upstream is reachable. */
export interface HttpStep extends Step<'http'> {
  readonly method: 'HEAD' | 'GET';
  /** 0 where no answer came. */
  readonly status: number;
  /** Seconds by which the clock of the upstream is ahead of this machine's; absent where its answer has no date. */
  readonly clockAheadSeconds?: number;
  /** The schemes of its challenges, and their realms. */
  readonly challenges: readonly { readonly scheme: string; readonly realm: string | null }[];
}

/** A login: with a credential, or anonymous. */
export interface TokenStep extends Step<'token'> {
  /** `anonymous`, `header` (the operator's `authorization` header), or `1` for the first of the credentials. */
  readonly credential: string;
  /** Status of the token service; 0 where it did not answer, null where no token was requested. */
  readonly tokenStatus: number | null;
  /** Status of the upstream afterwards; 0 where it was not asked any more. */
  readonly status: number;
}

/** The remaining pulls of its limit, where the upstream tells them. */
export interface QuotaStep extends Step<'quota'> {
  /** A user name, or `anonymous`. */
  readonly credential: string;
  readonly limit: number | null;
  readonly remaining: number;
  readonly windowSeconds: number | null;
}

export type StepReport = DnsStep | TcpStep | OutboundProxyStep | TlsStep | HttpStep | TokenStep | QuotaStep;

/** The result of one check. */
export interface UpstreamReport {
  readonly kind: CheckTarget['kind'];
  /** The registry of the upstream, or the route. */
  readonly name: string;
  readonly upstream: string;
  readonly url: string;
  /** Whether it answered with a status below 500. */
  readonly reachable: boolean;
  /** The worst of its steps. */
  readonly outcome: Outcome;
  readonly durationMs: number;
  readonly steps: readonly StepReport[];
}

/** Milliseconds, rounded as in a report. */
export function tenths(milliseconds: number): number {
  return Math.round(Math.max(0, milliseconds) * 10) / 10;
}
