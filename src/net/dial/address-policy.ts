import { BlockList, isIP } from 'node:net';
import type { AddressPolicy } from '../http-types.ts';

/**
 * Which addresses may be dialled on somebody else's word.
 *
 * A redirect or a token realm names a host of the answering server's choosing, so the address it resolves to decides, not
 * the name: a name that was harmless a second ago may lead to 169.254.169.254 now (DNS rebinding). Everything here is pure.
 */

/** IPv4 that is not globally reachable: IANA's special-purpose registry (RFC 6890 and what updates it), and multicast. */
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

/** Inside 2000::/3, the only global unicast space: what is special there all the same. */
const SPECIAL_V6 = [
  '2001::/23', // IETF protocol assignments, Teredo and ORCHID among them
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: carries any IPv4 address, and is withdrawn (RFC 7526)
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
];

const special = blockListOf([...SPECIAL_V4, ...SPECIAL_V6]);
const globalUnicastV6 = blockListOf(['2000::/3']);
/** The well-known NAT64 prefix: on a network without IPv4 every IPv4-only host answers under it (RFC 6052, RFC 6147). */
const nat64 = blockListOf(['64:ff9b::/96']);
const mappedV4 = blockListOf(['::ffff:0:0/96']);

/**
 * True where an address is globally reachable unicast. An IPv4 address inside IPv6 (mapped, or behind the well-known
 * NAT64 prefix) is judged as what it carries. What is no IP address is not public.
 */
export function isPublicAddress(ip: string): boolean {
  const address = withoutZone(ip);
  const family = isIP(address);
  if (family === 0) return false;
  if (family === 4) return !special.check(address, 'ipv4');
  const carried = carriedV4(address);
  if (carried !== undefined) return !special.check(carried, 'ipv4');
  return globalUnicastV6.check(address, 'ipv6') && !special.check(address, 'ipv6');
}

/**
 * True where the policy lets a connection go to `ip`, which is what `host` resolved to (or is, as a literal).
 *
 * An entry of `allow` is a host name (exact, in any case), an address, or a CIDR block. Entries that are none of these
 * match nothing.
 */
export function isAllowed(policy: AddressPolicy, host: string, ip: string): boolean {
  if (policy.kind === 'any') return true;
  if (isPublicAddress(ip)) return true;
  const name = plainHost(host);
  const address = withoutZone(ip);
  return policy.allow.some((entry) => entryMatches(entry, name, address));
}

/**
 * Names that never are public: RFC 6761, RFC 6762, RFC 8375, `internal`, which ICANN has set aside, and what many a
 * system calls itself in its `hosts` (`localhost.localdomain`).
 */
const LOCAL_DOMAIN = /^(?:[^.]+|(?:.+\.)?(?:localhost|localdomain[46]?|local|internal|home\.arpa))$/;
/** An address in one of its older spellings (`127.1`, `0x7f.0.0.1`), which some resolvers take: no domain ends in a number. */
const ENDS_IN_NUMBER = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;

/**
 * True where the policy lets `host` be asked for through an outbound proxy, which resolves it where nobody can look: an
 * address is judged as one, a name by itself.
 */
export function isAllowedByName(policy: AddressPolicy, host: string): boolean {
  const plain = plainHost(host);
  if (policy.kind === 'any') return true;
  if (isIP(plain) !== 0) return isAllowed(policy, plain, plain);
  if (ENDS_IN_NUMBER.test(plain)) return false;
  return !LOCAL_DOMAIN.test(plain) || policy.allow.some((entry) => !entry.includes('/') && plainHost(entry) === plain);
}

/** One text per policy, equal for policies that allow the same: connections are shared only within it. */
export function policyKey(policy: AddressPolicy): string {
  return policy.kind === 'any' ? 'any' : JSON.stringify(['public', ...policy.allow.toSorted()]);
}

/** The host of a URL as the resolver wants it: lower case, no brackets around IPv6, no final dot. */
export function plainHost(host: string): string {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const lower = bare.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}

function entryMatches(entry: string, host: string, ip: string): boolean {
  if (entry.includes('/')) return isInBlock(entry, ip);
  const plain = plainHost(entry);
  return isIP(plain) === 0 ? plain === host : isInBlock(`${plain}/${isIP(plain) === 4 ? 32 : 128}`, ip);
}

/** Whether an address (an IPv4 one inside IPv6 as well) is in a CIDR block; false for what is no block. */
export function isInBlock(cidr: string, ip: string): boolean {
  const block = blockListOf([cidr]);
  const carried = isIP(ip) === 6 ? carriedV4(ip) : undefined;
  return contains(block, ip) || (carried !== undefined && contains(block, carried));
}

function contains(block: BlockList, ip: string): boolean {
  return block.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4');
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
function carriedV4(address: string): string | undefined {
  if (!nat64.check(address, 'ipv6') && !mappedV4.check(address, 'ipv6')) return undefined;
  // The URL parser writes any spelling of an IPv6 address in one way: hexadecimal groups, zeros compressed.
  const canonical = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const groups = canonical.split(':').slice(-2);
  const [high, low] = groups.map((group) => Number.parseInt(group === '' ? '0' : group, 16));
  if (high === undefined || low === undefined) return undefined;
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

function withoutZone(ip: string): string {
  const percent = ip.indexOf('%');
  return percent === -1 ? ip : ip.slice(0, percent);
}
