import { type AddressPolicy, readReference, type WrittenUrl } from '../../net/index.ts';
import { isNameAllowed } from '../address.ts';
import { hostOf, isHostListed } from '../host.ts';

/** Redirects followed for one request; a registry needs one, registry.k8s.io two. */
export const MAX_REDIRECTS = 5;

const MAX_LOCATION = 8 * 1024;
const REDIRECTS: readonly number[] = [301, 302, 303, 307, 308];

/** True for the statuses whose `Location` is followed. */
export function isRedirect(status: number): boolean {
  return REDIRECTS.includes(status);
}

export interface RedirectContext {
  /** The URL that redirects. */
  readonly from: URL;
  /** Its path and query as they were written. @default those of the URL */
  readonly target?: string;
  /** The upstream at the beginning of the chain. */
  readonly upstream: URL;
  /** The number of redirects before this one. */
  readonly hops: number;
  /** Where given, the only allowed hosts besides the upstream's own. */
  readonly redirectHosts: readonly string[] | undefined;
  /** What may be dialled at other hosts than the upstream's own. */
  readonly addresses: AddressPolicy;
}

export type RedirectDecision =
  | ({ readonly kind: 'follow' } & WrittenUrl)
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * Decides whether a redirect is followed, by its parsed URL; its path and query are sent as they were written. Credentials are not its subject: they are bound to an origin where the next
 * request is built.
 */
export function decideRedirect(location: string | undefined, context: RedirectContext): RedirectDecision {
  if (location === undefined) return refused('it names no Location');
  if (location.length > MAX_LOCATION) return refused('its Location is too long');
  if (context.hops >= MAX_REDIRECTS) return refused(`it is one more than the ${MAX_REDIRECTS} that are followed`);
  const { from, target = `${from.pathname}${from.search}` } = context;
  const written = readReference(location, { url: from, target });
  if (written === undefined) return refused('its Location is no URL');
  const { url } = written;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refused(`it leads to a ${url.protocol} URL`);
  if (url.protocol === 'http:' && from.protocol === 'https:') return refused('it leads from https to http');
  if (url.username !== '' || url.password !== '') return refused('its Location holds a user name');
  const host = hostOf(url);
  if (host === hostOf(context.upstream)) return { kind: 'follow', ...written };
  if (context.redirectHosts !== undefined && !isHostListed(context.redirectHosts, url)) {
    return refused(`it leads to ${host}, which is not in redirect_hosts`);
  }
  if (!isNameAllowed(context.addresses, host)) {
    return refused(`it leads to ${host}, which is not a public address; if it is right, list it in allow_private`);
  }
  return { kind: 'follow', ...written };
}

// Query parameters of signed URLs: S3 and R2, older S3 and GCS, CloudFront, Azure, GCS, Cloudflare.
const SIGNATURES = /^(?:x-amz-signature|x-goog-signature|signature|sig|key-pair-id|verify)$/i;

/** True where a client without a credential can use the URL: it leads away from the upstream, or it is signed. */
export function needsNoCredential(location: URL, upstream: URL): boolean {
  return location.origin !== upstream.origin || [...location.searchParams.keys()].some((each) => SIGNATURES.test(each));
}

function refused(reason: string): RedirectDecision {
  return { kind: 'refused', reason };
}
