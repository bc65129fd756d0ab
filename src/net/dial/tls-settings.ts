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

type Target = Pick<DialTarget, 'host' | 'port' | 'certificateName' | 'alpn'>;

/** Turns a client's TLS settings into connection options. A secure context is created once, when first needed. */
export class TlsSettings {
  readonly #settings: NonNullable<HttpClientOptions['tls']>;
  #towards: SecureContext | undefined;
  #towardsOutboundProxy: SecureContext | undefined;

  constructor(settings: NonNullable<HttpClientOptions['tls']>) {
    this.#settings = settings;
  }

  /** Options for `tls.connect`. Throws HttpError `tls` where `ca`, `cert` or `key` is no PEM. */
  towards(target: Target): ConnectionOptions {
    const { ca, cert, key, insecureSkipVerify } = this.#settings;
    this.#towards ??= secureContext(target, { ca, cert, key });
    return connectionOptions(target, { context: this.#towards, verify: insecureSkipVerify !== true });
  }

  /** The same for an outbound proxy: it gets no client certificate, and its own certificate is always verified. */
  towardsOutboundProxy(target: Target): ConnectionOptions {
    this.#towardsOutboundProxy ??= secureContext(target, { ca: this.#settings.ca });
    return connectionOptions(target, { context: this.#towardsOutboundProxy, verify: true });
  }
}

interface Pem {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

function secureContext({ host, port }: Target, { ca, cert, key }: Pem): SecureContext {
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
