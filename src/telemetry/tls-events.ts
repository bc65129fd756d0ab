export interface CertificateOrdered {
  readonly domains: readonly string[];
  /** URL of the ACME server's directory. */
  readonly server: string;
  readonly outcome: 'issued' | 'failed';
  readonly durationMs: number;
  readonly reason?: string;
  readonly nextAttemptAt?: number;
}

export interface MitmHandshakeFailed {
  readonly host: string;
  readonly client: string;
  /** `untrusted`: the client does not trust our authority. `aborted`: it disconnected. `protocol`: no TLS version in common. */
  readonly reason: 'untrusted' | 'aborted' | 'timeout' | 'protocol';
  /** The error's code. */
  readonly detail: string;
}
