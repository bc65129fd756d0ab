import { decodeHeaderText } from '../lib/index.ts';
import type { PathOf } from './routes.ts';

/** What the addresses in an answer are read and written by. */
export interface RewriteContext {
  /** The URL that answered: relative addresses are relative to it. */
  readonly from: URL;
  readonly pathOf: PathOf;
  /** How the client reaches this server: `https://mirror.example.com`; empty where nobody knows. */
  readonly base: string;
}

/**
 * An address in an answer, as the client is to use it: through this server where a mirror route leads there; undefined where
 * none does. Absolute, relative and protocol-relative ones are understood (RFC 9110 §10.2.2).
 */
export function rewriteAddress(address: string, { from, pathOf, base }: RewriteContext): string | undefined {
  const url = URL.parse(decodeHeaderText(address), from.href);
  if (url === null || url.username !== '' || url.password !== '') return undefined;
  const path = pathOf(url);
  return path === undefined ? undefined : `${base}${path}`;
}

const REALM = /\b(realm\s*=\s*)"(https?:\/\/[^"\\]*)"/gi;

/**
 * A `Location`, which means the site wherever no route leads: relative to this server it would be another address.
 */
export function rewriteLocation(address: string, rewriting: RewriteContext): string {
  const here = rewriteAddress(address, rewriting);
  return here ?? URL.parse(decodeHeaderText(address), rewriting.from.href)?.href ?? address;
}

/** A challenge whose realm leads through this server, where it is the address of a token service that a route leads to. */
export function rewriteChallenge(header: string, rewriting: RewriteContext): string {
  return header.replace(REALM, (whole: string, name: string, realm: string) => {
    const here = rewriteAddress(realm, rewriting);
    return here === undefined ? whole : `${name}"${here}"`;
  });
}

const LINK_TARGET = /<([^<>]*)>/g;

/** `Link` with its targets leading through this server where a route does (RFC 8288 §3). */
export function rewriteLink(header: string, rewriting: RewriteContext): string {
  return header.replace(LINK_TARGET, (whole: string, target: string) => {
    const here = rewriteAddress(target, rewriting);
    return here === undefined ? whole : `<${here}>`;
  });
}

/** A cookie for whoever it came through: of this host, and of the part of it that is the site. */
export function rewriteCookie(cookie: string, prefix: string): string {
  const [pair = '', ...attributes] = cookie.split(';');
  const kept = attributes.filter((attribute) => !/^\s*(?:domain|path)\s*(?:=|$)/i.test(attribute));
  return [pair, ...kept, ` Path=${prefix}`].join(';');
}
