import { createPublicKey, type KeyObject } from 'node:crypto';
import { createAuthority, openAuthority, signLeaf } from '../../src/forward/authority/certificates.ts';
import { der } from '../../src/lib/index.ts';
import type { HttpClient, HttpReply, HttpRequest } from '../../src/net/index.ts';

/** A refusal in place of an answer. */
interface Refusal {
  readonly type: string;
  readonly status?: number;
  readonly retryAfter?: string;
}

interface Signed {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>> | undefined;
}

const HOST = 'https://acme.example';

/** An ACME server in memory, for one domain; it proves nothing and issues at once. No signature is checked: pebble does that. */
export class FakeAcme implements HttpClient {
  readonly directory = `${HOST}/directory`;
  /** Method and path of each request, and the payload of signed ones. */
  readonly requests: string[] = [];
  readonly payloads = new Map<string, Signed>();
  /** By path: what is answered once, in place of the answer. */
  readonly refusals = new Map<string, Refusal>();
  /** What the challenge's answer was when the server was told to look. */
  answerAt: (token: string) => string | undefined = () => undefined;
  readonly seen: (string | undefined)[] = [];
  /** Waited for by each request. */
  gate: Promise<unknown> = Promise.resolve();
  /** Called with each request, before it is answered. */
  onRequest: (path: string) => void = () => {};
  challenge = 'http-01';
  /** Signed in place of the order's key. */
  otherKey: KeyObject | undefined;
  window: { start: string; end: string } | undefined;
  account = false;
  closed = 0;
  readonly #domain: string;
  readonly #authority = openAuthority(createAuthority({ host: 'acme' }));
  #csr = Buffer.alloc(0);
  #proved = false;

  constructor(domain: string) {
    this.#domain = domain;
  }

  async fetch({ method, url, body, signal }: HttpRequest): Promise<HttpReply> {
    const path = url.pathname;
    this.requests.push(`${method} ${path}`);
    this.onRequest(path);
    await Promise.race([
      this.gate,
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error))),
    ]);
    signal?.throwIfAborted();
    const refusal = this.refusals.get(path);
    if (refusal !== undefined) {
      this.refusals.delete(path);
      const headers = refusal.retryAfter === undefined ? {} : { 'retry-after': refusal.retryAfter };
      const type = `urn:ietf:params:acme:error:${refusal.type}`;
      return reply(refusal.status ?? 400, { type, detail: `no ${path}` }, headers);
    }
    const signed = typeof body === 'string' ? read(body) : undefined;
    if (signed !== undefined) this.payloads.set(path, signed);
    return this.#answer(path, signed);
  }

  open(): never {
    throw new Error('an ACME client reads whole answers');
  }

  async close(): Promise<void> {
    this.closed++;
  }

  #answer(path: string, signed: Signed | undefined): HttpReply {
    switch (path) {
      case '/directory': {
        const names = ['newNonce', 'newAccount', 'newOrder', ...(this.window === undefined ? [] : ['renewalInfo'])];
        return reply(200, Object.fromEntries(names.map((name) => [name, `${HOST}/${name}`])));
      }
      case '/newAccount':
        if (signed?.payload?.['onlyReturnExisting'] === true && !this.account) {
          return reply(400, { type: 'urn:ietf:params:acme:error:accountDoesNotExist' });
        }
        this.account = true;
        return reply(201, {}, { location: `${HOST}/account` });
      case '/newOrder':
        this.#proved = false;
        this.#csr = Buffer.alloc(0);
        return reply(201, this.#order(), { location: `${HOST}/order` });
      case '/order':
        return reply(200, this.#order());
      case '/authorization': {
        const identifier = { type: 'dns', value: this.#domain };
        const challenges = [{ type: this.challenge, token: 'the-token', url: `${HOST}/challenge` }];
        return reply(200, { status: this.#proved ? 'valid' : 'pending', identifier, challenges });
      }
      case '/challenge':
        this.seen.push(this.answerAt('the-token'));
        this.#proved = true;
        return reply(200, {});
      case '/finalize':
        this.#csr = Buffer.from(String(signed?.payload?.['csr']), 'base64url');
        return reply(200, this.#order());
      case '/certificate': {
        const leaf = signLeaf(this.#authority, { name: this.#domain, publicKey: this.otherKey ?? keyIn(this.#csr) });
        return { ...reply(200, {}), body: Buffer.from(leaf.cert + this.#authority.cert) };
      }
      case '/newNonce':
        return reply(200, {});
      default:
        return path.startsWith('/renewalInfo/') ? reply(200, { suggestedWindow: this.window }) : reply(404, {});
    }
  }

  #order(): object {
    const isDone = this.#csr.length > 0;
    const status = isDone ? 'valid' : this.#proved ? 'ready' : 'pending';
    const authorizations = [`${HOST}/authorization`];
    return {
      status,
      authorizations,
      finalize: `${HOST}/finalize`,
      ...(isDone && { certificate: `${HOST}/certificate` }),
    };
  }
}

function reply(status: number, value: object, headers: Readonly<Record<string, string>> = {}): HttpReply {
  const body = Buffer.from(JSON.stringify(value));
  return { status, headers: { 'replay-nonce': 'nonce', ...headers }, setCookies: [], remoteAddress: undefined, body };
}

function read(body: string): Signed {
  const { protected: header, payload } = JSON.parse(body) as { protected: string; payload: string };
  const decode = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString()) as Signed['header'];
  return { header: decode(header), payload: payload === '' ? undefined : decode(payload) };
}

/** The public key of a certificate request: the third element of its body. */
function keyIn(csr: Buffer): KeyObject {
  const [body] = der.elementsIn(der.readElement(csr));
  const key = body === undefined ? undefined : der.elementsIn(body)[2];
  return createPublicKey({ key: key?.whole ?? Buffer.alloc(0), format: 'der', type: 'spki' });
}
