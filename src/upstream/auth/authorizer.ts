import { Lru, type Via } from '../../lib/index.ts';
import type { AddressPolicy } from '../../net/index.ts';
import type { CredentialSource } from '../../oci/index.ts';
import { ANY, type UpstreamConnection } from '../connection.ts';
import { tokenFailure, UpstreamError } from '../error.ts';
import { hostOf } from '../host.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { basicAuthorization, CredentialError } from './credential.ts';
import { CredentialReader, type ReadCredential } from './credential-reader.ts';
import { decideRealm } from './realm.ts';
import { joinScopes } from './scopes.ts';
import { type FetchToken, TokenCache } from './token-cache.ts';
import {
  type GrantedToken,
  parseTokenReply,
  type TokenHttpRequest,
  type TokenQuestion,
  tokenRequest,
} from './token-request.ts';

/** What to send with a request, and what it says about the answer. */
export interface Authorization {
  /** The value of the `Authorization` header. */
  readonly header: string;
  /** True for a credential of ours, or a token that one was exchanged for. */
  readonly private: boolean;
  /** When it was fetched or read, in milliseconds of the upstream's clock. */
  readonly grantedAt: number;
  /** Discards it after a refusal. */
  readonly refuse: () => void;
}

/** A 401 that is to be answered. */
export interface AuthChallenge {
  /** `WWW-Authenticate`. */
  readonly header: string | undefined;
  /** The token scope of the request; used where the challenge names none. */
  readonly scope: string;
  /** The URL that answered 401. */
  readonly challenger: URL;
  /** A repository that the challenge names is left out: see {@link UpstreamRequest}. @default false */
  readonly loginOnly?: boolean;
  /**
   * The request's own scope is asked for besides what the challenge names: some registries (GHCR) name the right to pull in the
   * challenge to a push. @default false
   */
  readonly insists?: boolean;
  /** The challenger is outside the public internet. */
  readonly privateNetwork: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly via?: Via | undefined;
}

/** The request that waits for a token: others may share the fetch. */
interface Asker {
  readonly signal: AbortSignal | undefined;
  readonly via: Via | undefined;
}

/** How to authorize a request, as an earlier challenge said. */
type KnownChallenge =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly question: TokenQuestion; readonly addresses: AddressPolicy };

const MAX_KNOWN_CHALLENGES = 4096;
const MAX_SCOPE = 2048;
const MAX_TOKEN_REPLY = 256 * 1024;

/** The key of a challenge that holds for the whole upstream. No scope is empty. */
const EVERY_SCOPE = '';

/**
 * Answers the challenges of one upstream, and of the hosts it redirects to, with one credential or none.
 *
 * The upstream itself may get the configured credential; a redirect target only ever an anonymous token. A challenge is
 * remembered for its repository (or for the whole upstream, where it does not name one), so that only the first request
 * costs a 401.
 */
export class Authorizer {
  readonly #connection: UpstreamConnection;
  readonly #credentials: CredentialReader;
  readonly #tokens: TokenCache;
  readonly #challenges = new Lru<KnownChallenge>({ maxWeight: MAX_KNOWN_CHALLENGES });

  /** @param credential one of the upstream's credentials; undefined: only anonymous tokens */
  constructor(connection: UpstreamConnection, credential: CredentialSource | undefined) {
    const { now } = connection.context;
    this.#connection = connection;
    this.#tokens = new TokenCache(now);
    this.#credentials = new CredentialReader({ source: credential, upstream: connection.url, now });
  }

  /** The user name of the credential that was read last; undefined where there is none, or none was read yet. */
  get username(): string | undefined {
    return this.#credentials.username;
  }

  /** What to send before any challenge, as earlier ones said; undefined where there was none. */
  async preemptive(scope: string, asker: Asker): Promise<Authorization | undefined> {
    const known = this.#challenges.get(scope) ?? this.#challenges.get(EVERY_SCOPE);
    return known === undefined ? undefined : this.#authorize(known, asker);
  }

  /**
   * What to send after the upstream's own 401.
   *
   * @returns undefined where there is nothing to answer with: the 401 stands
   * @throws {UpstreamError} `denied` where a challenge may not be answered, or as the token service failed
   */
  async answer(challenge: AuthChallenge): Promise<Authorization | undefined> {
    const chosen = await this.#choose(challenge);
    if (chosen === undefined) return undefined;
    const authorization = await this.#authorize(chosen, { signal: challenge.signal, via: challenge.via });
    if (authorization === undefined) return undefined;
    this.#challenges.set(isOfScope(chosen, challenge.scope) ? challenge.scope : EVERY_SCOPE, chosen);
    return authorization;
  }

  /** What to send after a redirect target's 401: an anonymous token of its own domain, or undefined. */
  async answerAnonymously(challenge: AuthChallenge): Promise<Authorization | undefined> {
    const { header, challenger, privateNetwork, signal, via } = challenge;
    const bearer = parseChallenges(header).find(({ scheme }) => scheme === 'bearer');
    const realm = bearer && (await decideRealm(bearer.params['realm'], { challenger, tokenRealms: [] }));
    if (bearer === undefined || realm?.kind !== 'allowed') return undefined;
    const addresses = privateNetwork ? ANY : this.#connection.derived;
    const question = questionOf(bearer, realm.url, { scope: '', loginOnly: false, insists: false });
    return this.#bearer(question, { addresses, anonymous: true, signal, via });
  }

  /** Chooses the challenge to answer: Bearer where its realm is allowed, else Basic where there is a credential. */
  async #choose(challenge: AuthChallenge): Promise<KnownChallenge | undefined> {
    const { header, scope, challenger, loginOnly = false, insists = false, privateNetwork } = challenge;
    const { spec, derived } = this.#connection;
    const challenges = parseChallenges(header);
    let reason: string | undefined;
    for (const bearer of challenges.filter(({ scheme }) => scheme === 'bearer')) {
      const realm = await decideRealm(bearer.params['realm'], { challenger, tokenRealms: spec.tokenRealms });
      if (realm.kind === 'refused') {
        reason = realm.reason;
        continue;
      }
      const isNamed = realm.listed || realm.url.hostname === challenger.hostname;
      // A host that a client named (allow_any) may resolve to another address by now, on any port.
      const addresses = (isNamed && spec.addresses !== 'public') || privateNetwork ? ANY : derived;
      return { kind: 'bearer', question: questionOf(bearer, realm.url, { scope, loginOnly, insists }), addresses };
    }
    if (this.#credentials.configured && challenges.some(({ scheme }) => scheme === 'basic')) return { kind: 'basic' };
    if (reason === undefined) return undefined;
    const message = `${spec.name} asks for a token from where none may be fetched: ${reason}`;
    this.#connection.warn(message);
    throw new UpstreamError(message, { kind: 'denied', upstream: spec.name, status: 401 });
  }

  async #authorize(known: KnownChallenge, asker: Asker): Promise<Authorization | undefined> {
    if (known.kind === 'bearer') {
      return this.#bearer(known.question, { ...asker, addresses: known.addresses, anonymous: false });
    }
    const credential = await this.#readCredential();
    if (credential === undefined) return undefined;
    const refuse = (): void => this.#credentials.forget();
    return { header: basicAuthorization(credential), private: true, grantedAt: credential.readAt, refuse };
  }

  async #bearer(
    question: TokenQuestion,
    options: Asker & { readonly addresses: AddressPolicy; readonly anonymous: boolean },
  ): Promise<Authorization> {
    const { anonymous, addresses, signal, via } = options;
    const key = JSON.stringify([anonymous, question.realm.href, question.service ?? null, question.scope]);
    const fetch: FetchToken = async () => {
      const credential = anonymous ? undefined : await this.#readCredential();
      try {
        const granted = await this.#fetchToken(tokenRequest(question, credential), { addresses, via });
        return { ...granted, private: credential !== undefined };
      } catch (error) {
        if (error instanceof UpstreamError && error.kind === 'denied') this.#credentials.forget();
        throw error;
      }
    };
    const { token, private: isPrivate, grantedAt } = await this.#tokens.get(key, fetch, signal);
    return { header: `Bearer ${token}`, private: isPrivate, grantedAt, refuse: () => this.#tokens.refuse(key, token) };
  }

  async #fetchToken(
    request: TokenHttpRequest,
    { addresses, via }: { readonly addresses: AddressPolicy; readonly via: Via | undefined },
  ): Promise<GrantedToken> {
    const { spec, url, context } = this.#connection;
    const destination = hostOf(request.url) === hostOf(url) ? 'upstream' : 'token';
    const reply = await this.#connection.inTime(request, (signal) =>
      this.#connection.exchange(
        { ...request, addresses, signal },
        {
          purpose: 'token',
          destination,
          via,
          send: (client, httpRequest) => client.fetch({ ...httpRequest, maxBytes: MAX_TOKEN_REPLY }),
        },
      ),
    );
    const granted = reply.status === 200 ? parseTokenReply(reply.body) : undefined;
    if (granted !== undefined) return granted;
    throw tokenFailure(reply, { upstream: spec.name, url: request.url, now: context.now() });
  }

  async #readCredential(): Promise<ReadCredential | undefined> {
    try {
      return await this.#credentials.read();
    } catch (error) {
      if (!(error instanceof CredentialError)) throw error;
      const { name } = this.#connection.spec;
      const message = `the credential for ${name} cannot be read: ${error.message}`;
      this.#connection.warn(message);
      throw new UpstreamError(message, { kind: 'unavailable', upstream: name, cause: error });
    }
  }
}

/** A challenge for one repository's scope says nothing of other repositories; ECR's `aws`, or Basic, holds for all. */
function isOfScope(known: KnownChallenge, scope: string): boolean {
  return known.kind === 'bearer' && (known.question.scope === scope || known.question.scope.includes(':'));
}

function questionOf(
  challenge: Challenge,
  realm: URL,
  { scope, loginOnly, insists }: Required<Pick<AuthChallenge, 'scope' | 'loginOnly' | 'insists'>>,
): TokenQuestion {
  const named = challenge.params['scope'] ?? '';
  const usable = named.length > MAX_SCOPE || (loginOnly && named.startsWith('repository:')) ? '' : named;
  const asked = usable === '' ? scope : insists ? joinScopes(scope, usable) : usable;
  return { realm, service: challenge.params['service'], scope: asked };
}
