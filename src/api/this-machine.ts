import type { Socket } from 'node:net';
import { clientInfoOf, isLoopback, type RequestContext } from '../server/index.ts';
import { isLoopbackHost } from './own-host.ts';
import { ownerOfPeer } from './peer-owner.ts';

export interface ThisMachineOptions {
  /** `trusted_proxies` names one: there is a server in front, which connects from here as well. */
  readonly hasFront: boolean;
  /** `public_url` is set, or another machine reaches a listener: where the system does not tell whose a connection is, reading is closed. */
  readonly mayHaveFront: boolean;
  /** @default {@link ownerOfPeer} */
  readonly ownerOf?: typeof ownerOfPeer;
  /** The user of this process; undefined outside of POSIX. @default process.geteuid */
  readonly uid?: number | undefined;
}

/** Whether a request was sent on this machine, by the user of the server or by root. */
export type OnThisMachine = (context: RequestContext) => Promise<boolean>;

const ROOT = 0;

/**
 * Tells requests of this machine, as far as can be told. A server in front connects from here as well, and may add no header and keep
 * the `Host` that its client sends, as HAProxy does. It runs as a user of its own: so the user who holds the other end of the connection
 * decides, where the system tells it.
 */
export function thisMachine({
  hasFront,
  mayHaveFront,
  ownerOf = ownerOfPeer,
  uid = process.geteuid?.(),
}: ThisMachineOptions): OnThisMachine {
  /** Whose the other end of a connection is: it does not change. */
  const owners = new WeakMap<Socket, ReturnType<typeof ownerOfPeer>>();
  let wasForwarded = false;
  return async (context) => {
    if (hasForwarding(context)) wasForwarded = true;
    if (hasFront || !seemsLocal(context)) return false;
    const { socket } = context.request;
    const found = owners.get(socket) ?? ownerBehind(socket, ownerOf);
    owners.set(socket, found);
    const owner = await found;
    return owner === undefined ? !mayHaveFront && !wasForwarded : owner === ROOT || owner === uid;
  };
}

async function ownerBehind(
  { remoteAddress, remotePort, localAddress, localPort }: Socket,
  ownerOf: typeof ownerOfPeer,
): ReturnType<typeof ownerOfPeer> {
  // It is closed already.
  if (remoteAddress === undefined || remotePort === undefined) return 'none';
  if (localAddress === undefined || localPort === undefined) return 'none';
  return ownerOf({ remoteAddress, remotePort, localAddress, localPort });
}

/** What a server in front adds, or the service that it is. */
const FORWARDING = new Set([
  'cdn-loop',
  'cf-connecting-ip',
  'fastly-client-ip',
  'fly-client-ip',
  'forwarded',
  'front-end-https',
  'proxy-connection',
  'true-client-ip',
  'via',
  'x-amzn-trace-id',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-host',
  'x-nginx-proxy',
  'x-original-forwarded-for',
  'x-original-host',
  'x-real-ip',
  'x-scheme',
]);
const FORWARDING_FAMILIES = ['akamai-', 'x-arr-', 'x-azure-', 'x-envoy-', 'x-forwarded-', 'x-vercel-'];

function hasForwarding({ request }: RequestContext): boolean {
  return Object.keys(request.headers).some(
    (name) => FORWARDING.has(name) || FORWARDING_FAMILIES.some((family) => name.startsWith(family)),
  );
}

/** By the connection and the request alone. */
function seemsLocal(context: RequestContext): boolean {
  const { request } = context;
  const { remoteAddress } = request.socket;
  // A Unix socket has no address, and is there for a server in front.
  if (remoteAddress === undefined || !isLoopback(remoteAddress)) return false;
  // nginx up to 1.29.6 adds no header as it comes, keeps no Host, and speaks HTTP/1.0; nothing else does. Later ones speak HTTP/1.1.
  if (request.httpVersionMinor === 0 && request.httpVersionMajor === 1) return false;
  if (clientInfoOf(request).entryPoint !== undefined || !isLoopbackHost(context)) return false;
  return !hasForwarding(context);
}
