import { Lru } from '../../lib/index.ts';
import type { AddressPolicy } from '../../net/index.ts';
import type { CredentialSource, UpstreamSpec } from '../../oci/index.ts';
import { UpstreamError } from '../error.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { basicAuthorization, CredentialError } from './credential.ts';
import { CredentialReader, type ReadCredential } from './credential-reader.ts';
import { decideRealm } from './realm.ts';
import { type CachedToken, type FetchToken, TokenCache } from './token-cache.ts';
import { type GrantedToken, type TokenHttpRequest, type TokenQuestion, tokenRequest } from './token-request.ts';

/** What to send with a request, and what it says about the answer. */
export interface Authorization {
  /** The value of the `Authorization` header. */
  readonly header: string;
  /** A credential of ours stands behind it. */
  readonly private: boolean;
  /** When it was fetched or read, in milliseconds of the clock given. */
  readonly grantedAt: number;
  /** Takes it out of use: it was refused. */
  readonly refuse: () => void;
}

/** Carries a token request to its service. Rejects with {@link UpstreamError}. */
export type SendTokenRequest = (request: TokenHttpRequest, addresses: AddressPolicy) => Promise<GrantedToken>;

/** Options of {@link Authorizer}. */
export interface AuthorizerOptions {
  readonly spec: UpstreamSpec;
  /** The one of the upstream's credentials it answers with. */
  readonly credential: CredentialSource | undefined;
  readonly now: () => number;
  readonly send: SendTokenRequest;
  /** Hears what only the operator can mend. */
  readonly warn: (message: string) => void;
  /** What may be dialled on the word of a server on the public internet. */
  readonly derived: AddressPolicy;
}

/** A 401 as it is to be answered. */
export interface AuthChallenge {
  readonly header: string | undefined;
  /** What was asked for, as a token scope; used where the challenge names none. */
  readonly scope: string;
  /** Who answered with it. */
  readonly challenger: URL;
  /** A repository that the challenge names is left out: see {@link UpstreamRequest}. @default false */
  readonly loginOnly?: boolean;
  /** The challenger is not on the public internet. */
  readonly privateNetwork: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** How an upstream wants to be asked, as an earlier challenge told. */
type CachedChallenge =
  | { readonly kind: 'basic' }
  | { readonly kind: 'bearer'; readonly question: TokenQuestion; readonly addresses: AddressPolicy };

const MAX_LESSONS = 4096;
const ANY_DIALLED: AddressPolicy = { kind: 'any' };

/**
 * Answers the challenges of one upstream, and of the hosts it redirects to, with one credential or none.
 *
 * The upstream itself may be given the configured credential; a redirect target only ever an anonymous token. A challenge
 * is remembered for its repository (or for the whole upstream, where it does not name one), so that only the first request
 * costs a 401.
 */
export class Authorizer {
  readonly #options: AuthorizerOptions;
  readonly #credentials: CredentialReader;
  readonly #tokens: TokenCache;
  readonly #lessons = new Lru<CachedChallenge>({ maxWeight: MAX_LESSONS });

  constructor(options: AuthorizerOptions) {
    this.#options = options;
    this.#tokens = new TokenCache(options.now);
    this.#credentials = new CredentialReader({
      source: options.credential,
      upstream: new URL(options.spec.url),
      now: options.now,
    });
  }

  /** Who its credential was when it was last read; undefined where it has none, or none was read yet. */
  get username(): string | undefined {
    return this.#credentials.username;
  }

  /** What earlier challenges taught to send at once; undefined where none was seen. */
  async preemptive(scope: string, signal: AbortSignal | undefined): Promise<Authorization | undefined> {
    const lesson = this.#lessons.get(scope) ?? this.#lessons.get(EVERY_SCOPE);
    return lesson === undefined ? undefined : this.#grant(lesson, signal);
  }

  /**
   * What to send after the upstream's own 401.
   *
   * @returns undefined where there is nothing to answer with: the 401 stands
   * @throws {UpstreamError} `denied` where a challenge may not be answered, or as the token service failed
   */
  async answer(refusal: AuthChallenge): Promise<Authorization | undefined> {
    const lesson = this.#learn(refusal);
    if (lesson === undefined) return undefined;
    const grant = await this.#grant(lesson, refusal.signal);
    if (grant === undefined) return undefined;
    this.#lessons.set(isOfScope(lesson, refusal.scope) ? refusal.scope : EVERY_SCOPE, lesson);
    return grant;
  }

  /** What to send after a redirect target's 401: an anonymous token of its own domain, or undefined. */
  async answerAnonymously(refusal: AuthChallenge): Promise<Authorization | undefined> {
    const challenge = parseChallenges(refusal.header).find((each) => each.scheme === 'bearer');
    const realm =
      challenge && decideRealm(challenge.params['realm'], { challenger: refusal.challenger, tokenRealms: [] });
    if (challenge === undefined || realm?.kind !== 'allowed') return undefined;
    const addresses = refusal.privateNetwork ? ANY_DIALLED : this.#options.derived;
    const question = questionOf(challenge, realm.url, { asked: '', loginOnly: false });
    return this.#bearer(question, { addresses, anonymous: true, signal: refusal.signal });
  }

  /** Chooses the challenge to answer: Bearer where its realm is allowed, else Basic where there is a credential. */
  #learn(refusal: AuthChallenge): CachedChallenge | undefined {
    const { spec, derived } = this.#options;
    const challenges = parseChallenges(refusal.header);
    const context = { challenger: refusal.challenger, tokenRealms: spec.tokenRealms };
    let reason: string | undefined;
    for (const challenge of challenges.filter((each) => each.scheme === 'bearer')) {
      const realm = decideRealm(challenge.params['realm'], context);
      if (realm.kind === 'refused') {
        reason = realm.reason;
        continue;
      }
      const named = realm.listed || realm.url.hostname === refusal.challenger.hostname;
      // A host that a client named (allow_any) may lead elsewhere by the time it is dialled again, and to any port.
      const addresses = (named && spec.addresses !== 'public') || refusal.privateNetwork ? ANY_DIALLED : derived;
      const { scope, loginOnly = false } = refusal;
      const question = questionOf(challenge, realm.url, { asked: scope, loginOnly });
      return { kind: 'bearer', question, addresses };
    }
    if (this.#credentials.configured && challenges.some((each) => each.scheme === 'basic')) return { kind: 'basic' };
    if (reason === undefined) return undefined;
    const message = `${spec.name} asks for a token from where none may be fetched: ${reason}`;
    this.#options.warn(message);
    throw new UpstreamError(message, { kind: 'denied', upstream: spec.name, status: 401 });
  }

  async #grant(lesson: CachedChallenge, signal: AbortSignal | undefined): Promise<Authorization | undefined> {
    if (lesson.kind === 'bearer') {
      return this.#bearer(lesson.question, { addresses: lesson.addresses, anonymous: false, signal });
    }
    const credential = await this.#readCredential();
    if (credential === undefined) return undefined;
    const refuse = (): void => this.#credentials.forget();
    return { header: basicAuthorization(credential), private: true, grantedAt: credential.readAt, refuse };
  }

  async #bearer(
    question: TokenQuestion,
    options: { addresses: AddressPolicy; anonymous: boolean; signal: AbortSignal | undefined },
  ): Promise<Authorization> {
    const { anonymous, addresses, signal } = options;
    const key = JSON.stringify([anonymous, question.realm.href, question.service ?? null, question.scope]);
    const fetch: FetchToken = async () => {
      const credential = anonymous ? undefined : await this.#readCredential();
      try {
        const granted = await this.#options.send(tokenRequest(question, credential), addresses);
        return { ...granted, private: credential !== undefined };
      } catch (error) {
        if (error instanceof UpstreamError && error.kind === 'denied') this.#credentials.forget();
        throw error;
      }
    };
    const token: CachedToken = await this.#tokens.get(key, fetch, signal);
    const refuse = (): void => this.#tokens.refuse(key, token.token);
    return { header: `Bearer ${token.token}`, private: token.private, grantedAt: token.grantedAt, refuse };
  }

  async #readCredential(): Promise<ReadCredential | undefined> {
    try {
      return await this.#credentials.read();
    } catch (error) {
      if (!(error instanceof CredentialError)) throw error;
      const { name } = this.#options.spec;
      const message = `the credential for ${name} cannot be read: ${error.message}`;
      this.#options.warn(message);
      throw new UpstreamError(message, { kind: 'unavailable', upstream: name, cause: error });
    }
  }
}

/** The key of a lesson that holds for the whole upstream. No scope is empty. */
const EVERY_SCOPE = '';

/** A challenge for one repository's scope teaches nothing about others; ECR's `aws`, or Basic, holds for all. */
function isOfScope(lesson: CachedChallenge, scope: string): boolean {
  return lesson.kind === 'bearer' && (lesson.question.scope === scope || lesson.question.scope.includes(':'));
}

const MAX_SCOPE = 2048;

function questionOf(
  challenge: Challenge,
  realm: URL,
  { asked, loginOnly }: { readonly asked: string; readonly loginOnly: boolean },
): TokenQuestion {
  const named = challenge.params['scope'] ?? '';
  const scope = loginOnly && named.startsWith('repository:') ? '' : named;
  return {
    realm,
    service: challenge.params['service'],
    scope: scope === '' || scope.length > MAX_SCOPE ? asked : scope,
  };
}
