import { hostOf, isHostListed, isLocalName, registrableDomain } from '../host.ts';

/** Whose challenge it is. */
export interface RealmContext {
  /** Who sent the challenge. */
  readonly challenger: URL;
  /** Hosts (`host`, `host:port`, `*.suffix`) named by the configuration or known of this registry. */
  readonly tokenRealms: readonly string[];
}

/** Where a token may be asked for, or why not there. `listed`: the configuration itself names the host. */
export type RealmDecision =
  | { readonly kind: 'allowed'; readonly url: URL; readonly listed: boolean }
  | { readonly kind: 'refused'; readonly reason: string };

const MAX_REALM = 2048;

/**
 * Decides whether a challenge's realm may be asked for a token, with or without a credential.
 *
 * A registry can write anything into its challenge, and what it names is sent our credential (CVE-2026-33540) or is at
 * least fetched from inside our network (CVE-2026-48978). So a realm is on the challenger's own host, or on the same
 * registrable domain, or listed; an IP address or a local name only if it is the challenger's own; and it is https
 * unless the challenger itself is not.
 *
 * The port is free. Whoever holds a name or an address holds its ports, and token services beside a registry are usual.
 */
export function decideRealm(realm: string | undefined, context: RealmContext): RealmDecision {
  if (realm === undefined) return refused('the challenge names no realm');
  if (realm.length > MAX_REALM) return refused('the realm is too long');
  const url = URL.parse(realm);
  if (url === null) return refused('the realm is no URL');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refused(`a realm cannot be ${url.protocol}`);
  if (url.username !== '' || url.password !== '') return refused('the realm holds a user name');
  if (url.protocol === 'http:' && context.challenger.protocol !== 'http:') {
    return refused(`the realm ${url.origin} is not https, and the registry is`);
  }
  url.hash = '';
  if (isHostListed(context.tokenRealms, url)) return { kind: 'allowed', url, listed: true };
  const host = hostOf(url);
  const challenger = hostOf(context.challenger);
  if (host === challenger) return { kind: 'allowed', url, listed: false };
  const domain = isLocalName(host) ? undefined : registrableDomain(host);
  if (domain !== undefined && domain === registrableDomain(challenger)) return { kind: 'allowed', url, listed: false };
  return refused(`the realm's host ${host} is not of the registry's domain; if it is right, list it in token_realms`);
}

function refused(reason: string): RealmDecision {
  return { kind: 'refused', reason };
}
