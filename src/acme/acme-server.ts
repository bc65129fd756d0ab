import { parseBoundedJson } from '../lib/index.ts';
import type { HttpClient, HttpReply } from '../net/index.ts';
import { type AccountKey, type ExternalAccount, externalBinding, signedBody } from './jws.ts';
import { AcmeError, isRecord, readProblem } from './problem.ts';

export interface AcmeServerOptions {
  /** The directory (RFC 8555 §7.1.1); `https:`. */
  readonly url: URL;
  readonly http: Pick<HttpClient, 'fetch'>;
  /** What URLs of other hosts may lead to, besides public addresses. */
  readonly allowPrivate: readonly string[];
  readonly key: AccountKey;
  /** Ends every request. */
  readonly signal: AbortSignal;
}

/** An answer of the ACME server. */
interface AcmeReply {
  readonly headers: HttpReply['headers'];
  readonly body: Buffer;
  /** From `Retry-After`, milliseconds. */
  readonly retryAfter: number | undefined;
}

/** An object of the ACME server: an account, an order, an authorization, a challenge. */
export interface AcmeObject extends Pick<AcmeReply, 'retryAfter'> {
  readonly fields: Readonly<Record<string, unknown>>;
  /** From `Location`: where the object is. */
  readonly location: string | undefined;
}

interface Account {
  readonly email: string | undefined;
  readonly external: ExternalAccount | undefined;
  /** The key was used before: its account may exist. */
  readonly isKnown: boolean;
}

/** The longest answer is a chain of certificates: 10 KiB. */
const MAX_BYTES = 256 * 1024;
/** Milliseconds for one exchange, the connection included. */
const EXCHANGE_TIMEOUT = 60_000;
/** A nonce expires, and servers reject some on purpose: the request is sent again with the nonce of the refusal (§6.5). */
const MAX_NONCES = 6;

/** One ACME server, as the owner of one account talks to it. Each object is used for one order. */
export class AcmeServer {
  readonly #options: AcmeServerOptions;
  #directory: Promise<AcmeObject> | undefined;
  #account: string | undefined;
  #nonce: string | undefined;

  constructor(options: AcmeServerOptions) {
    this.#options = options;
  }

  /** A URL of the directory; undefined where the server does not have it. */
  async find(name: string): Promise<string | undefined> {
    this.#directory ??= this.get(this.#options.url.href);
    const { fields } = await this.#directory;
    const url = fields[name];
    return typeof url === 'string' ? url : undefined;
  }

  /**
   * Finds the account of the key, or creates it (§7.3). Creating it agrees to the server's terms of service: the operator
   * agrees by configuring the server.
   */
  async openAccount({ email, external, isKnown }: Account): Promise<void> {
    const url = await this.#require('newAccount');
    if (isKnown) {
      try {
        this.#account = (await this.post(url, { onlyReturnExisting: true })).location;
        if (this.#account !== undefined) return;
      } catch (error) {
        if (!(error instanceof AcmeError && error.type === 'accountDoesNotExist')) throw error;
      }
    }
    const created = await this.post(url, {
      termsOfServiceAgreed: true,
      ...(email === undefined ? {} : { contact: [`mailto:${email}`] }),
      ...(external === undefined
        ? {}
        : { externalAccountBinding: externalBinding(this.#options.key, { url, account: external }) }),
    });
    if (created.location === undefined) throw new AcmeError(`${this.#name} created an account and did not say where`);
    this.#account = created.location;
  }

  async newOrder(order: object): Promise<AcmeObject> {
    return this.post(await this.#require('newOrder'), order);
  }

  /** An object that needs no signature. */
  async get(url: string): Promise<AcmeObject> {
    return this.#objectOf(await this.#exchange('GET', url), url);
  }

  /** An object, read by a POST-as-GET where there is no payload. */
  async post(url: string, payload?: object): Promise<AcmeObject> {
    return this.#objectOf(await this.#post(url, { payload, accept: 'application/json' }), url);
  }

  /** A chain of certificates, PEM. */
  async download(url: string): Promise<string> {
    const accept = 'application/pem-certificate-chain';
    return (await this.#post(url, { payload: undefined, accept })).body.toString('latin1');
  }

  get #name(): string {
    return this.#options.url.host;
  }

  async #require(name: string): Promise<string> {
    const url = await this.find(name);
    if (url !== undefined) return url;
    throw new AcmeError(
      `${this.#options.url.href} names no ${name}, so it is no directory of an ACME server; check tls.acme.server`,
    );
  }

  async #post(
    url: string,
    { payload, accept }: { readonly payload: object | undefined; readonly accept: string },
  ): Promise<AcmeReply> {
    const { key } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const nonce = await this.#takeNonce();
      const owner = this.#account === undefined ? { jwk: key.jwk } : { kid: this.#account };
      const body = JSON.stringify(signedBody(key, { header: { ...owner, nonce, url }, payload }));
      const headers = { 'content-type': 'application/jose+json', accept };
      try {
        return await this.#exchange('POST', url, { headers, body });
      } catch (error) {
        const isStale = error instanceof AcmeError && error.type === 'badNonce';
        if (!isStale || attempt === MAX_NONCES) throw error;
      }
    }
  }

  async #takeNonce(): Promise<string> {
    if (this.#nonce === undefined) await this.#exchange('HEAD', await this.#require('newNonce'));
    const nonce = this.#nonce;
    if (nonce === undefined) throw new AcmeError(`${this.#name} gave no nonce for a signed request`);
    this.#nonce = undefined;
    return nonce;
  }

  async #exchange(
    method: string,
    url: string,
    { headers = {}, body }: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string } = {},
  ): Promise<AcmeReply> {
    const { http, allowPrivate, signal } = this.#options;
    const target = this.#targetOf(url);
    const reply = await http.fetch({
      method,
      url: target,
      headers: { 'user-agent': 'entrepot', ...headers },
      ...(body === undefined ? {} : { body }),
      // The configuration names the host of the directory. Other hosts are the server's choice.
      addresses: target.host === this.#options.url.host ? { kind: 'any' } : { kind: 'public', allow: allowPrivate },
      signal: AbortSignal.any([signal, AbortSignal.timeout(EXCHANGE_TIMEOUT)]),
      maxBytes: MAX_BYTES,
    });
    this.#nonce = reply.headers['replay-nonce'] ?? this.#nonce;
    const retryAfter = readRetryAfter(reply.headers['retry-after']);
    if (reply.status >= 200 && reply.status < 300) return { headers: reply.headers, body: reply.body, retryAfter };
    const problem = readProblem(jsonOf(reply.body));
    const reason = problem?.text ?? `status ${reply.status} for ${target.pathname}`;
    throw new AcmeError(`${this.#name} refused: ${reason}`, {
      ...(problem?.type === undefined ? {} : { type: problem.type }),
      ...(retryAfter === undefined ? {} : { retryAfter }),
    });
  }

  #targetOf(url: string): URL {
    const target = URL.parse(url, this.#options.url);
    if (target?.protocol === 'https:' && target.username === '' && target.password === '') return target;
    throw new AcmeError(`${this.#name} names ${JSON.stringify(url.slice(0, 200))}, expected an https:// URL`);
  }

  #objectOf({ headers, body, retryAfter }: AcmeReply, url: string): AcmeObject {
    const fields = jsonOf(body);
    if (!isRecord(fields)) {
      throw new AcmeError(`${this.#name} answered ${new URL(url, this.#options.url).pathname} with no JSON object`);
    }
    return { fields, location: headers['location'], retryAfter };
  }
}

function jsonOf(body: Buffer): unknown {
  try {
    return parseBoundedJson(body);
  } catch {
    return undefined;
  }
}

/** Seconds or a date (RFC 9110 §10.2.3), as milliseconds from now; undefined for anything else. */
function readRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
