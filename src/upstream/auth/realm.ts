import { hostOf, isHostListed, isLocalName, registrableDomain } from '../host.ts';

export interface RealmContext {
  /** The URL that sent the challenge. */
  readonly challenger: URL;
  /**
   * Hosts (`host`, `host:port`, `*.suffix`) that are configured, or known of this registry; with `http://` before it, a host
   * that may be asked unencrypted.
   */
  readonly tokenRealms: readonly string[];
}

/** `listed`: the host is one of the `tokenRealms`. */
export type RealmDecision =
  | { readonly kind: 'allowed'; readonly url: URL; readonly listed: boolean }
  | { readonly kind: 'refused'; readonly reason: string };

const MAX_REALM = 2048;

/**
 * Decides whether a token may be requested from a challenge's realm, with or without a credential.
 *
 * A registry can write any realm into its challenge, and that server gets our credential (CVE-2026-33540) or at least a
 * request from inside our network (CVE-2026-48978). So a realm must be on the challenger's own host, on the same registrable
 * domain, or listed; an IP address or a local name only if it is the challenger's own; and it must be https unless the
 * challenger is not, or the operator lists it with its `http://`.
 *
 * The port is free: the owner of a host owns its ports, and a token service often runs beside its registry.
 */
export async function decideRealm(realm: string | undefined, context: RealmContext): Promise<RealmDecision> {
  if (realm === undefined) return refused('the challenge names no realm');
  if (realm.length > MAX_REALM) return refused('the realm is too long');
  const url = URL.parse(realm);
  if (url === null) return refused('the realm is no URL');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refused(`a realm cannot be ${url.protocol}`);
  if (url.username !== '' || url.password !== '') return refused('the realm holds a user name');
  const givesUpHttps = url.protocol === 'http:' && context.challenger.protocol !== 'http:';
  const listed = context.tokenRealms.filter((each) => !givesUpHttps || PLAIN.test(each));
  const isListed = isHostListed(
    listed.map((each) => each.replace(PLAIN, '')),
    url,
  );
  if (givesUpHttps && !isListed) return refused(describePlain(url, context));
  url.hash = '';
  if (isListed) return { kind: 'allowed', url, listed: true };
  const host = hostOf(url);
  const challenger = hostOf(context.challenger);
  if (host === challenger) return { kind: 'allowed', url, listed: false };
  const domain = isLocalName(host) ? undefined : await registrableDomain(host);
  if (domain !== undefined && domain === (await registrableDomain(challenger)))
    return { kind: 'allowed', url, listed: false };
  return refused(`the realm's host ${host} is not of the registry's domain; if it is right, list it in token_realms`);
}

const PLAIN = /^http:\/\//i;

/** Why a realm that gives up https is refused, and what to write where it is right. */
function describePlain(url: URL, { tokenRealms }: RealmContext): string {
  const isForHttps = isHostListed(tokenRealms, url) ? `; token_realms lists ${hostOf(url)} for https alone` : '';
  return (
    `the realm ${url.origin} is plain HTTP, and the registry is https, so the credential would travel unencrypted${isForHttps}. ` +
    `Let the registry name an https realm, or, in a network that you trust, list ${url.origin} in token_realms`
  );
}

function refused(reason: string): RealmDecision {
  return { kind: 'refused', reason };
}
