import type { HttpClient } from '../net/index.ts';
import type { TlsSpec, UpstreamSpec } from '../oci/index.ts';
import type { HttpClientFor } from './context.ts';
import { UpstreamError } from './error.ts';

/** What a connection is for: the upstream itself, a redirect target, its token service. */
export type Destination = 'upstream' | 'redirect' | 'token';

export interface DestinationClientsOptions {
  readonly registry: string;
  readonly spec: UpstreamSpec;
  readonly httpClientFor: HttpClientFor;
}

/**
 * The HTTP clients for one upstream, its redirect targets and its token service. Only the upstream itself gets the client
 * certificate. Its `insecure_skip_verify` does not apply to the token service, which gets the credential.
 */
export class DestinationClients {
  readonly #options: DestinationClientsOptions;
  readonly #clients = new Map<Destination, Promise<HttpClient>>();

  constructor(options: DestinationClientsOptions) {
    this.#options = options;
  }

  /** @throws {UpstreamError} `unavailable` where the client cannot be made; the next call tries again */
  async to(destination: Destination): Promise<HttpClient> {
    const known = this.#clients.get(destination);
    if (known !== undefined) return known;
    const { registry, spec, httpClientFor } = this.#options;
    const { tls, transport, credentials, name } = spec;
    // Upstreams without settings of their own share connections; an upstream with a credential shares none.
    const alike = tls === undefined && transport === undefined && credentials === undefined;
    const key = alike ? '' : `${registry} ${name} ${destination}`;
    const made = Promise.try(httpClientFor, tlsTowards(destination, tls), key, transport);
    this.#clients.set(destination, made);
    try {
      return await made;
    } catch (error) {
      // A certificate file that is missing now may exist the next time.
      this.#clients.delete(destination);
      const reason = error instanceof Error ? error.message : String(error);
      const message = `${name} cannot be asked, as its client cannot be made: ${reason}`;
      throw new UpstreamError(message, { kind: 'unavailable', upstream: name, cause: error });
    }
  }
}

function tlsTowards(to: Destination, tls: TlsSpec | undefined): TlsSpec | undefined {
  if (to === 'upstream' || tls === undefined) return tls;
  const { caFile, insecureSkipVerify } = tls;
  return {
    ...(caFile === undefined ? {} : { caFile }),
    ...(to === 'token' || insecureSkipVerify === undefined ? {} : { insecureSkipVerify }),
  };
}
