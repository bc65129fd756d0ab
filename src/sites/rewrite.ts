import { parseLinks } from '../lib/index.ts';
import { hrefOf, readReference, type WrittenUrl } from '../net/index.ts';
import type { PathOf } from './routes.ts';

/** How addresses in an answer are read and rewritten. */
export interface RewriteContext {
  /** The URL that answered: relative addresses are relative to it. */
  readonly from: WrittenUrl;
  readonly pathOf: PathOf;
  /** This server's URL for the client: `https://mirror.example.com`; empty where it is not known. */
  readonly base: string;
}

/**
 * Rewrites an address in an answer to lead through this server; undefined where no mirror route leads there. The address may
 * be absolute, relative or protocol-relative (RFC 9110 §10.2.2). Path, query and fragment stay as they were written: a signed
 * URL is valid only so.
 */
export function rewriteAddress(address: string, { from, pathOf, base }: RewriteContext): string | undefined {
  const written = readReference(address, from);
  const path = written === undefined ? undefined : pathOf(written);
  return path === undefined ? undefined : `${base}${path}${fragmentOf(address)}`;
}

const REALM = /\b(realm\s*=\s*)"(https?:\/\/[^"\\]*)"/gi;

/** An address that needs no other to be read: with a scheme, and for HTTP with a host. */
const ABSOLUTE = /^\s*(?:https?:\/\/|(?!https?:)[a-z][a-z\d+.-]*:)/i;

/**
 * Rewrites a `Location`. Where no route leads to it, it becomes absolute: relative to this server it would be another address.
 */
export function rewriteLocation(address: string, rewriting: RewriteContext): string {
  const rewritten = rewriteAddress(address, rewriting);
  if (rewritten !== undefined) return rewritten;
  const written = ABSOLUTE.test(address) ? undefined : readReference(address, rewriting.from);
  return written === undefined ? address : `${hrefOf(written)}${fragmentOf(address)}`;
}

function fragmentOf(address: string): string {
  const mark = address.indexOf('#');
  return mark === -1 ? '' : address.slice(mark);
}

/** Rewrites the realm of a challenge, where it is the address of a token service that a route leads to. */
export function rewriteChallenge(header: string, rewriting: RewriteContext): string {
  return header.replace(REALM, (whole: string, name: string, realm: string) => {
    const rewritten = rewriteAddress(realm, rewriting);
    return rewritten === undefined ? whole : `${name}"${rewritten}"`;
  });
}

/** Rewrites the targets of `Link` that a route leads to (RFC 8288 §3). */
export function rewriteLink(header: string, rewriting: RewriteContext): string {
  let result = '';
  let end = 0;
  for (const { target, index } of parseLinks(header)) {
    result += header.slice(end, index) + (rewriteAddress(target, rewriting) ?? target);
    end = index + target.length;
  }
  return result + header.slice(end);
}

/** Binds a site's cookie to this host and the route's prefix. */
export function rewriteCookie(cookie: string, prefix: string): string {
  const [pair = '', ...attributes] = cookie.split(';');
  const kept = attributes.filter((attribute) => !/^\s*(?:domain|path)\s*(?:=|$)/i.test(attribute));
  return [pair, ...kept, ` Path=${prefix}`].join(';');
}
