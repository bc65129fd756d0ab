import { isIP } from 'node:net';
import { isRepositoryName } from '../oci/index.ts';

/** The longest host name of DNS, and `:65535`. */
const MAX_HOST_LENGTH = 253 + 6;

const PRINTABLE = /^[!-~]+$/;
const HOST = /^[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?(?::[1-9]\d{0,4})?$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
// A last label of digits, or of 0x and hexadecimal, makes the URL parser read an IPv4 address (WHATWG URL, "ends in a
// number"), so a public name must end like a domain.
const TOP_LEVEL = /^(?:[a-z]{2,63}|xn--[a-z0-9-]{1,59})$/;

/**
 * Top-level labels without public registries: reserved (RFC 2606, 6761, 6762, 7686, 8375, 9476, ICANN's `internal`) or
 * widely used in private networks.
 */
const PRIVATE_TOP_LEVELS: ReadonlySet<string> = new Set(
  'localhost local internal invalid test onion alt arpa lan home corp intranet private localdomain'.split(' '),
);

/**
 * The form in which hosts are compared, with or without a port: lower case, without a trailing dot and without `:443`.
 * Undefined if the text is not a host, or an IPv6 address, which no image name can contain.
 */
export function canonicalHost(text: string): string | undefined {
  // Checked before lower-casing: the Kelvin sign, which is invalid in a header, lower-cases to k.
  if (text.length > MAX_HOST_LENGTH || !PRINTABLE.test(text)) return undefined;
  const host = text
    .toLowerCase()
    .replace(/\.(?=$|:\d+$)/, '')
    .replace(/:443$/, '');
  return HOST.test(host) && !host.includes('..') && Number(portOf(host) ?? 1) <= 65535 ? host : undefined;
}

/** The host without its port; expects the canonical form. */
export function withoutPort(host: string): string {
  const colon = host.indexOf(':');
  return colon === -1 ? host : host.slice(0, colon);
}

/**
 * True if Docker reads the first component of a name as a registry: it contains a `.` or a `:`, or is `localhost`
 * (distribution/reference, `splitDockerDomain`).
 */
export function looksLikeRegistry(component: string): boolean {
  return /[.:]/.test(component) || component === 'localhost';
}

/**
 * True for a valid name of a registry: a host in canonical form, or a word that is valid in the name of a repository. `v2`
 * is reserved for the API.
 */
export function isRegistryName(text: string): boolean {
  if (canonicalHost(text) !== text) return false;
  return looksLikeRegistry(text) || (text !== 'v2' && isRepositoryName(text));
}

/**
 * True for a host that can exist on the public internet, with or without a port: at least two labels, not an address, not
 * reserved for private use. The address it resolves to is checked when a connection is opened.
 */
export function isPublicHost(host: string): boolean {
  const name = withoutPort(host);
  if (name.length > 253 || isIP(name) !== 0) return false;
  const labels = name.split('.');
  const topLevel = labels.at(-1) ?? '';
  return (
    labels.length >= 2 &&
    labels.every((label) => LABEL.test(label)) &&
    TOP_LEVEL.test(topLevel) &&
    !PRIVATE_TOP_LEVELS.has(topLevel)
  );
}

/** True for an IPv4 address or `localhost`: such a Host header names this server, not a registry. */
export function isLocalHost(host: string): boolean {
  const name = withoutPort(host);
  return name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0;
}

function portOf(host: string): string | undefined {
  return /:(\d+)$/.exec(host)?.[1];
}
