import { BlockList, isIP } from 'node:net';
import type { AddressPolicy } from '../http-types.ts';

/**
 * Which addresses may be dialled when another server chose the host, by a redirect or a token realm.
 *
 * The resolved address decides, not the name: a name that was harmless a second ago may resolve to 169.254.169.254 now (DNS
 * rebinding). Everything here is pure.
 */

/** IPv4 blocks that are not globally reachable: IANA's special-purpose registry (RFC 6890 and its updates), and multicast. */
const SPECIAL_V4 = [
  '0.0.0.0/8', // this network; Linux takes 0.0.0.0 for loopback
  '10.0.0.0/8', // private
  '100.64.0.0/10', // shared by carrier-grade NAT; clouds put metadata services here too
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, cloud metadata
  '172.16.0.0/12', // private
  '192.0.0.0/24', // IETF protocol assignments
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // AMT
  '192.88.99.0/24', // 6to4 relays, withdrawn
  '192.168.0.0/16', // private
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarking
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
];

/** Special-purpose blocks inside 2000::/3, the only global unicast space. */
const SPECIAL_V6 = [
  '2001::/23', // IETF protocol assignments, Teredo and ORCHID among them
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: carries any IPv4 address, and is withdrawn (RFC 7526)
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
];

const special = blockListOf([...SPECIAL_V4, ...SPECIAL_V6]);
const globalUnicastV6 = blockListOf(['2000::/3']);
/** The well-known NAT64 prefix: on a network without IPv4, IPv4-only hosts resolve to it (RFC 6052, RFC 6147). */
const nat64 = blockListOf(['64:ff9b::/96']);
const mappedV4 = blockListOf(['::ffff:0:0/96']);

/**
 * True where an address is globally reachable unicast. An IPv6 address that embeds an IPv4 address (mapped, or with the
 * well-known NAT64 prefix) counts as that address. False for a text that is no IP address.
 */
export function isPublicAddress(ip: string): boolean {
  const address = withoutZone(ip);
  const family = isIP(address);
  if (family === 0) return false;
  if (family === 4) return !special.check(address, 'ipv4');
  const embedded = embeddedV4(address);
  if (embedded !== undefined) return !special.check(embedded, 'ipv4');
  return globalUnicastV6.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

/**
 * True where the policy allows a connection to `ip`, the address that `host` resolved to (or is).
 *
 * An entry of `allow` is a host name (exact, in any case), an address, or a CIDR block. Any other entry matches nothing.
 */
export function isAllowed(policy: AddressPolicy, host: string, ip: string): boolean {
  if (policy.kind === 'any') return true;
  if (isPublicAddress(ip)) return true;
  const name = plainHost(host);
  const address = withoutZone(ip);
  return policy.allow.some((entry) => entryMatches(entry, name, address));
}

/**
 * Names that are never public: RFC 6761, RFC 6762, RFC 8375, `internal`, which ICANN has reserved, and the names many systems
 * give themselves in their `hosts` file (`localhost.localdomain`).
 */
const LOCAL_DOMAIN = /^(?:[^.]+|(?:.+\.)?(?:localhost|localdomain[46]?|local|internal|home\.arpa))$/;
/** An address in an old notation (`127.1`, `0x7f.0.0.1`), which some resolvers accept: no domain ends in a number. */
const ENDS_IN_NUMBER = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;

/**
 * True where the policy allows `host` through an outbound proxy. The proxy resolves it, out of our sight: so an address is
 * judged as an address, and a name by the name alone.
 */
export function isAllowedByName(policy: AddressPolicy, host: string): boolean {
  const plain = plainHost(host);
  if (policy.kind === 'any') return true;
  if (isIP(plain) !== 0) return isAllowed(policy, plain, plain);
  if (ENDS_IN_NUMBER.test(plain)) return false;
  return !LOCAL_DOMAIN.test(plain) || policy.allow.some((entry) => !entry.includes('/') && plainHost(entry) === plain);
}

/** One key per policy, equal for equal policies: connections are shared only between requests of one policy. */
export function policyKey(policy: AddressPolicy): string {
  return policy.kind === 'any' ? 'any' : JSON.stringify(['public', ...policy.allow.toSorted()]);
}

/** The host of a URL in the resolver's form: lower case, no brackets around IPv6, no final dot. */
export function plainHost(host: string): string {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const lower = bare.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

function entryMatches(entry: string, host: string, ip: string): boolean {
  const plain = plainHost(entry);
  return entry.includes('/') || isIP(plain) !== 0 ? isInBlock(entry, ip) : plain === host;
}

/** Whether an address, or the IPv4 address it embeds, is in a CIDR block or equals an address; false for any other text. */
export function isInBlock(cidr: string, ip: string): boolean {
  const address = plainHost(cidr);
  const block = blockListOf([isIP(address) === 0 ? cidr : `${address}/${isIP(address) === 4 ? 32 : 128}`]);
  if (isIP(ip) !== 6) return block.check(ip, 'ipv4');
  const embedded = embeddedV4(ip);
  return block.check(ip, 'ipv6') || (embedded !== undefined && block.check(embedded, 'ipv4'));
}

function blockListOf(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const slash = cidr.indexOf('/');
    const network = plainHost(cidr.slice(0, slash));
    const family = isIP(network);
    const prefix = cidr.slice(slash + 1);
    if (family === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 4 ? 32 : 128)) continue;
    list.addSubnet(network, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

/** The IPv4 address in the last 32 bits of a mapped or NAT64 address. */
function embeddedV4(address: string): string | undefined {
  const hasV4 = nat64.check(address, 'ipv6') || mappedV4.check(address, 'ipv6');
  return hasV4 ? bytesOfV6(address).slice(-4).join('.') : undefined;
}

/** The 16 bytes of an IPv6 address. */
export function bytesOfV6(address: string): number[] {
  // The URL parser gives every address one form: hexadecimal groups, the longest run of zeros as `::`.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [front = '', back = ''] = canonical.split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [before, after] = [groups(front), groups(back)];
  const zeros = canonical.includes('::') ? Array.from({ length: 8 - before.length - after.length }, () => '0') : [];
  return [...before, ...zeros, ...after]
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 0xff]);
}

function withoutZone(ip: string): string {
  const percent = ip.indexOf('%');
  return percent === -1 ? ip : ip.slice(0, percent);
}
