import { trimHeaderText } from '../lib/index.ts';
import { isHopByHop } from '../server/index.ts';
import {
  type RewriteContext,
  rewriteAddress,
  rewriteChallenge,
  rewriteCookie,
  rewriteLink,
  rewriteLocation,
} from './rewrite.ts';
import { isWithheld } from './withheld-headers.ts';

/** The headers of an answer as the client gets them; addresses lead through this server where a route does. */
export function answerHeaders(
  given: Readonly<Record<string, string>>,
  rewriting: RewriteContext,
): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const listed = new Set((given['connection'] ?? '').split(',').map((name) => trimHeaderText(name).toLowerCase()));
  for (const [name, value] of Object.entries(given)) {
    if (isWithheld(name) || isHopByHop(name) || listed.has(name)) continue;
    headers[name] = rewritten(name, value, rewriting);
  }
  return headers;
}

/** Cookies of the site, bound to the route's prefix on this server. */
export function answerCookies(cookies: readonly string[], prefix: string): { readonly 'set-cookie'?: string[] } {
  return cookies.length === 0 ? {} : { 'set-cookie': cookies.map((cookie) => rewriteCookie(cookie, prefix)) };
}

function rewritten(name: string, value: string, rewriting: RewriteContext): string {
  switch (name) {
    case 'location':
      return rewriteLocation(value, rewriting);
    case 'content-location':
      return rewriteAddress(value, rewriting) ?? value;
    case 'www-authenticate':
      return rewriteChallenge(value, rewriting);
    case 'link':
      return rewriteLink(value, rewriting);
    default:
      return value;
  }
}
