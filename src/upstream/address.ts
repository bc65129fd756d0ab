import { isIP } from 'node:net';
import { type AddressPolicy, isAllowed, isPublicAddress } from '../net/index.ts';

/** Whether a host may be dialled, judged by its name. The addresses it resolves to are judged when it is dialled. */
export function isNameAllowed(policy: AddressPolicy, host: string): boolean {
  const address = addressIn(host);
  return policy.kind === 'any' || address === undefined || isAllowed(policy, host, address);
}

/**
 * True where the answer came from outside the public internet, so that it may name internal hosts as well (decisions:
 * addresses).
 *
 * @param remoteAddress the address that answered; undefined: the name decides
 */
export function isPrivateNetwork(host: string, remoteAddress: string | undefined): boolean {
  const address = remoteAddress ?? addressIn(host);
  return address !== undefined && !isPublicAddress(address);
}

/** The address that a host is or always means. */
function addressIn(host: string): string | undefined {
  if (host === 'localhost' || host.endsWith('.localhost')) return '127.0.0.1';
  return isIP(host) === 0 ? undefined : host;
}
