import type { HttpClient } from '../net/index.ts';
import type { TlsSpec, UpstreamSpec } from '../oci/index.ts';
import type { Destination, UpstreamContext } from './context.ts';
import { UpstreamError } from './error.ts';

/**
 * The clients of one upstream, one for each destination. Redirect targets and token services never see the client
 * certificate, and a token service always needs a valid certificate of its own: the upstream chose it, and a credential is
 * sent to it.
 */
export class DestinationClients {
  readonly #spec: UpstreamSpec;
  readonly #httpClientFor: UpstreamContext['httpClientFor'];
  readonly #clients = new Map<Destination, Promise<HttpClient>>();

  constructor(spec: UpstreamSpec, { httpClientFor }: Pick<UpstreamContext, 'httpClientFor'>) {
    this.#spec = spec;
    this.#httpClientFor = httpClientFor;
  }

  /** @throws {UpstreamError} `unavailable` where the client cannot be opened; the next call tries again */
  async to(destination: Destination): Promise<HttpClient> {
    const known = this.#clients.get(destination);
    if (known !== undefined) return known;
    const { name, tls } = this.#spec;
    const query = { spec: this.#spec, destination, tls: tlsTowards(destination, tls) };
    const made = Promise.try(this.#httpClientFor, query);
    this.#clients.set(destination, made);
    try {
      return await made;
    } catch (error) {
      // A missing certificate file may exist next time.
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
