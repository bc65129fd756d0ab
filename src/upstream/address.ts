import { isIP } from 'node:net';
import { type AddressPolicy, isAllowed, isPublicAddress } from '../net/index.ts';

/** Whether a host may be dialled by its name alone. What a name resolves to is judged when it is dialled. */
export function isNameAllowed(policy: AddressPolicy, host: string): boolean {
  const address = addressIn(host);
  return policy.kind === 'any' || address === undefined || isAllowed(policy, host, address);
}

/**
 * True where what answered is not on the public internet, so that what it names may be inside as well (decisions:
 * addresses).
 *
 * @param remoteAddress the address that answered; where it is not known, the name itself decides
 */
export function isPrivateNetwork(host: string, remoteAddress: string | undefined): boolean {
  const address = remoteAddress ?? addressIn(host);
  return address !== undefined && !isPublicAddress(address);
}

/** The address a host name is, or is known to mean. */
function addressIn(host: string): string | undefined {
  if (host === 'localhost' || host.endsWith('.localhost')) return '127.0.0.1';
  return isIP(host) === 0 ? undefined : host;
}
