import { type CanaryView, VIEW_PATH } from '../canary/index.ts';
import { createHttpClient, HttpError, type HttpReply, plainHost } from '../net/index.ts';

const MAX_BYTES = 64 * 1024;

/** A user of the server. */
export interface Login {
  readonly user: string;
  readonly password: string;
}

/**
 * Requests to the server under examination, at its address. Certificates are not verified: what is read proves itself by
 * digests, and a finding of its own judges the certificate. A password, and the token for it, are sent only where the
 * certificate is trusted or the server is on this machine.
 */
export class ServerClient {
  readonly url: string;
  #client = createHttpClient({ tls: { insecureSkipVerify: true } });
  #token: string | undefined;
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
  ask(method: 'GET' | 'HEAD', path: string, accept?: string): Promise<HttpReply | string> {
    return this.#ask(method, path, { accept });
  }

  /**
   * Takes a token for what is asked from now on: for a user, or an anonymous one. It is asked for at the address of the
   * server and not where a challenge leads.
   *
   * @returns 200, another status of the token service, or the words why no answer came
   */
  async takeToken(login: Login | undefined): Promise<number | string> {
    if (login !== undefined && !isOnThisMachine(this.url)) {
      await this.#client.close();
      this.#client = createHttpClient();
    }
    const answer = await this.#ask('GET', '/token', { login });
    if (typeof answer === 'string' || answer.status !== 200) return typeof answer === 'string' ? answer : answer.status;
    const token = readToken(answer.body);
    if (token === undefined) return 'its answer has no token';
    this.#token = `Bearer ${token}`;
    return 200;
  }

  async #ask(
    method: 'GET' | 'HEAD',
    path: string,
    { accept, login }: { readonly accept?: string | undefined; readonly login?: Login | undefined },
  ): Promise<HttpReply | string> {
    const { timeout, signal, userAgent } = this.#options;
    const deadline = AbortSignal.timeout(timeout);
    const authorization = login === undefined ? this.#token : basicOf(login);
    try {
      return await this.#client.fetch({
        method,
        url: new URL(path, this.url),
        headers: {
          'user-agent': userAgent,
          ...(accept === undefined ? {} : { accept }),
          ...(authorization === undefined ? {} : { authorization }),
        },
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

/** Whether an address leads to the machine of this command. */
export function isOnThisMachine(url: string): boolean {
  const host = plainHost(new URL(url).hostname);
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function basicOf({ user, password }: Login): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** Undefined where the answer has none that could be sent in a header. */
function readToken(body: Buffer): string | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    if (typeof value !== 'object' || value === null || !('token' in value)) return undefined;
    const { token } = value;
    return typeof token === 'string' && /^[\x21-\x7e]{1,4096}$/.test(token) ? token : undefined;
  } catch {
    return undefined;
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
