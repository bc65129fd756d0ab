import { isIP } from 'node:net';
import type { Config } from '../schema/index.ts';
import type { Path } from '../tree.ts';

/** Shortest prefix of a block that is not remarked on: shorter ones cover a large part of all addresses. */
const SHORTEST_PREFIX = { 4: 8, 6: 16 } as const;

/** Blocks of addresses and patterns of hosts that cover more than an operator means. */
export function noteWideRanges(
  { trustedProxies, transport, forwardProxy, registries }: Config,
  note: (path: Path, message: string) => void,
): void {
  for (const [at, block] of trustedProxies.entries()) {
    if (!isWide(block)) continue;
    note(
      ['trusted_proxies', at],
      `${block} covers a large part of all addresses: any client in it can claim any address, scheme and host. Name the addresses of your proxies`,
    );
  }
  const allowed = [
    { path: ['transport', 'allow_private'], blocks: transport.allowPrivate },
    { path: ['forward_proxy', 'allow_private'], blocks: forwardProxy.allowPrivate },
  ];
  for (const { path, blocks } of [{ path: ['trusted_proxies'], blocks: trustedProxies }, ...allowed]) {
    for (const [at, block] of blocks.entries()) {
      const network = networkOf(block);
      if (network === undefined || network === block) continue;
      note(
        [...path, at],
        `${block} is every address in ${network}. Write ${network} if that is meant, or ${block.split('/')[0]} for that address alone`,
      );
    }
  }
  for (const { path, blocks } of allowed) {
    for (const [at, block] of blocks.entries()) {
      if (isWide(block)) note([...path, at], `${block} allows every private address. Name the hosts that are needed`);
    }
  }
  for (const [name, { upstreams = [] }] of Object.entries(registries)) {
    for (const [at, { tokenRealms }] of upstreams.entries()) {
      for (const [index, realm] of tokenRealms.entries()) {
        if (!/^\*\.[^.]+$/.test(realm)) continue;
        note(
          ['registries', name, 'upstreams', at, 'token_realms', index],
          `${realm} covers every host below ${realm.slice(2)}: each may be sent the credentials for ${name}. Name the token service's host`,
        );
      }
    }
  }
}

/** Whether a block covers a large part of all addresses. */
function isWide(block: string): boolean {
  const [network = '', prefix] = block.split('/');
  const family = isIP(network);
  if (prefix === undefined || (family !== 4 && family !== 6)) return false;
  return Number(prefix) < SHORTEST_PREFIX[family];
}

/** A block of IPv4 with the bits behind its prefix cleared; undefined for anything else. */
function networkOf(block: string): string | undefined {
  const [address = '', prefix] = block.split('/');
  if (prefix === undefined || isIP(address) !== 4) return undefined;
  const bytes = address.split('.').map((byte, index) => {
    const bits = Math.min(Math.max(Number(prefix) - 8 * index, 0), 8);
    return Number(byte) & (0xff << (8 - bits));
  });
  return `${bytes.join('.')}/${prefix}`;
}
