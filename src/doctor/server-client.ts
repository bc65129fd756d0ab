import { type CanaryView, VIEW_PATH } from '../canary/index.ts';
import { createHttpClient, HttpError, type HttpReply } from '../net/index.ts';

const MAX_BYTES = 64 * 1024;

/**
 * Requests to the server under examination, at its address. Certificates are not verified: what is read is public and
 * proves itself by digests, nothing secret is sent, and a finding of its own judges the certificate.
 */
export class ServerClient {
  readonly url: string;
  readonly #client = createHttpClient({ tls: { insecureSkipVerify: true } });
  readonly #options: {
    readonly timeout: number;
    readonly signal?: AbortSignal | undefined;
    readonly userAgent: string;
  };

  /** @param options `timeout` in milliseconds, for each request */
  constructor(
    url: string,
    options: { readonly timeout: number; readonly signal?: AbortSignal | undefined; readonly userAgent: string },
  ) {
    this.url = url;
    this.#options = options;
  }

  /** The answer, or the words why none came. */
  async ask(method: 'GET' | 'HEAD', path: string, accept?: string): Promise<HttpReply | string> {
    const { timeout, signal, userAgent } = this.#options;
    const deadline = AbortSignal.timeout(timeout);
    try {
      return await this.#client.fetch({
        method,
        url: new URL(path, this.url),
        headers: { 'user-agent': userAgent, ...(accept === undefined ? {} : { accept }) },
        addresses: { kind: 'any' },
        signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
        maxBytes: MAX_BYTES,
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof HttpError)) throw error;
      return deadline.aborted ? `no answer within ${timeout / 1000} s` : error.message;
    }
  }

  /** What the server knows of a canary; the words why not, where it does not say. */
  async canary(tag: string): Promise<CanaryView | string> {
    const answer = await this.ask('GET', VIEW_PATH + tag);
    if (typeof answer === 'string') return answer;
    const view = answer.status === 200 ? readView(answer.body) : undefined;
    return view ?? `it answered ${answer.status} to GET ${VIEW_PATH}…`;
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

function readView(body: Buffer): CanaryView | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    return isView(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isView(value: unknown): value is CanaryView {
  return (
    typeof value === 'object' &&
    value !== null &&
    'digest' in value &&
    typeof value.digest === 'string' &&
    'version' in value &&
    typeof value.version === 'string' &&
    'requests' in value &&
    Array.isArray(value.requests)
  );
}
