import type { AddressPolicy } from '../net/index.ts';
import { isNameAllowed } from './address.ts';
import { hostOf, isHostListed } from './host.ts';

/** Redirects followed for one request; a registry needs one, registry.k8s.io two. */
export const MAX_REDIRECTS = 5;

const MAX_LOCATION = 8 * 1024;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/** True for the statuses whose `Location` is followed. */
export function isRedirect(status: number): boolean {
  return REDIRECTS.includes(status);
}

/** What a redirect is judged by. */
export interface RedirectContext {
  /** The URL that answered with it. */
  readonly from: URL;
  /** The upstream the chain began at. */
  readonly upstream: URL;
  /** How many redirects led here. */
  readonly hops: number;
  /** Where given, the only hosts it may lead to besides the upstream's own. */
  readonly redirectHosts: readonly string[] | undefined;
  /** What may be dialled if the host is not the upstream's own. */
  readonly addresses: AddressPolicy;
}

export type RedirectDecision =
  | { readonly kind: 'follow'; readonly url: URL }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Decides whether a `Location` may be gone to. Credentials are not its subject: they belong to an origin, and whoever
 * builds the next request gives them to no other.
 */
export function decideRedirect(location: string | undefined, context: RedirectContext): RedirectDecision {
  if (location === undefined) return refused('it names no Location');
  if (location.length > MAX_LOCATION) return refused('its Location is too long');
  if (context.hops >= MAX_REDIRECTS) return refused(`it is one more than the ${MAX_REDIRECTS} that are followed`);
  const url = URL.parse(location, context.from.href);
  if (url === null) return refused('its Location is no URL');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refused(`it leads to a ${url.protocol} URL`);
  if (url.protocol === 'http:' && context.from.protocol === 'https:') return refused('it leads from https to http');
  if (url.username !== '' || url.password !== '') return refused('its Location holds a user name');
  url.hash = '';
  const host = hostOf(url);
  if (host === hostOf(context.upstream)) return { kind: 'follow', url };
  if (context.redirectHosts !== undefined && !isHostListed(context.redirectHosts, url)) {
    return refused(`it leads to ${host}, which is not in redirect_hosts`);
  }
  if (!isNameAllowed(context.addresses, host)) {
    return refused(`it leads to ${host}, which is not a public address; if it is right, list it in allow_private`);
  }
  return { kind: 'follow', url };
}

// Query parameters by which a URL proves itself: S3 and R2, older S3 and GCS, CloudFront, Azure, GCS, Cloudflare.
const SIGNATURES = /^(?:x-amz-signature|x-goog-signature|signature|sig|key-pair-id|verify)$/i;

/** True where a client that holds no credential can use the URL: it left the upstream, or it carries a signature. */
export function needsNoCredential(location: URL, upstream: URL): boolean {
  return location.origin !== upstream.origin || [...location.searchParams.keys()].some((each) => SIGNATURES.test(each));
}

function refused(reason: string): RedirectDecision {
  return { kind: 'refused', reason };
}
