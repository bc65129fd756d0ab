import { decodeHeaderText } from '../lib/index.ts';
import type { PathOf } from './routes.ts';

/** How addresses in an answer are read and rewritten. */
export interface RewriteContext {
  /** The URL that answered: relative addresses are relative to it. */
  readonly from: URL;
  readonly pathOf: PathOf;
  /** This server's URL for the client: `https://mirror.example.com`; empty where it is not known. */
  readonly base: string;
}

/**
 * Rewrites an address in an answer to lead through this server; undefined where no mirror route leads there. The address may
 * be absolute, relative or protocol-relative (RFC 9110 §10.2.2).
 */
export function rewriteAddress(address: string, { from, pathOf, base }: RewriteContext): string | undefined {
  const url = URL.parse(decodeHeaderText(address), from.href);
  if (url === null || url.username !== '' || url.password !== '') return undefined;
  const path = pathOf(url);
  return path === undefined ? undefined : `${base}${path}`;
}

const REALM = /\b(realm\s*=\s*)"(https?:\/\/[^"\\]*)"/gi;

/**
 * Rewrites a `Location`. Where no route leads to it, it becomes absolute: relative to this server it would be another address.
 */
export function rewriteLocation(address: string, rewriting: RewriteContext): string {
  return (
    rewriteAddress(address, rewriting) ?? URL.parse(decodeHeaderText(address), rewriting.from.href)?.href ?? address
  );
}

/** Rewrites the realm of a challenge, where it is the address of a token service that a route leads to. */
export function rewriteChallenge(header: string, rewriting: RewriteContext): string {
  return header.replace(REALM, (whole: string, name: string, realm: string) => {
    const rewritten = rewriteAddress(realm, rewriting);
    return rewritten === undefined ? whole : `${name}"${rewritten}"`;
  });
}

const LINK_TARGET = /<([^<>]*)>/g;

/** Rewrites the targets of `Link` that a route leads to (RFC 8288 §3). */
export function rewriteLink(header: string, rewriting: RewriteContext): string {
  return header.replace(LINK_TARGET, (whole: string, target: string) => {
    const rewritten = rewriteAddress(target, rewriting);
    return rewritten === undefined ? whole : `<${rewritten}>`;
  });
}

/** Binds a site's cookie to this host and the route's prefix. */
export function rewriteCookie(cookie: string, prefix: string): string {
  const [pair = '', ...attributes] = cookie.split(';');
  const kept = attributes.filter((attribute) => !/^\s*(?:domain|path)\s*(?:=|$)/i.test(attribute));
  return [pair, ...kept, ` Path=${prefix}`].join(';');
}
