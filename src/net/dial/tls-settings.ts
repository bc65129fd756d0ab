import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  getCACertificates,
  type SecureContext,
} from 'node:tls';
import { type HttpClientOptions, HttpError } from '../http-types.ts';
import { plainHost } from './address-policy.ts';
import type { DialTarget } from './target.ts';

type TlsOptions = NonNullable<HttpClientOptions['tls']>;
type Target = Pick<DialTarget, 'host' | 'port' | 'certificateName' | 'alpn'>;

/** Turns a client's TLS settings into connection options. A secure context is created once, when first needed. */
export class TlsSettings {
  readonly #settings: TlsOptions;
  #towards: SecureContext | undefined;
  #towardsOutboundProxy: SecureContext | undefined;

  constructor(settings: TlsOptions) {
    this.#settings = settings;
  }

  /** Options for `tls.connect`. Throws HttpError `tls` where `ca`, `cert` or `key` is no PEM. */
  towards(target: Target): ConnectionOptions {
    this.#towards ??= secureContext(target, this.#settings);
    return connectionOptions(target, { context: this.#towards, verify: this.#settings.insecureSkipVerify !== true });
  }

  /** The same for an outbound proxy: it gets no client certificate, and its own certificate is always verified. */
  towardsOutboundProxy(target: Target): ConnectionOptions {
    const { ca } = this.#settings;
    this.#towardsOutboundProxy ??= secureContext(target, ca === undefined ? {} : { ca });
    return connectionOptions(target, { context: this.#towardsOutboundProxy, verify: true });
  }
}

function secureContext({ host, port }: Target, { ca, cert, key }: TlsOptions): SecureContext {
  try {
    return createSecureContext({
      // `ca` alone would replace the default CAs; an operator who adds a CA expects the public ones to stay trusted.
      ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    });
  } catch (cause) {
    const message = `${host}:${port} cannot be dialled: the tls settings (ca, cert, key) are not usable PEM`;
    throw new HttpError('tls', message, { cause });
  }
}

function connectionOptions(
  { host, certificateName, alpn = ['http/1.1'] }: Target,
  { context, verify }: { readonly context: SecureContext; readonly verify: boolean },
): ConnectionOptions {
  const name = plainHost(certificateName ?? host);
  return {
    secureContext: context,
    // RFC 6066 §3: the server name is never an IP address.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    rejectUnauthorized: verify,
    checkServerIdentity: (_host, certificate) => (verify ? checkServerIdentity(name, certificate) : undefined),
  };
}
