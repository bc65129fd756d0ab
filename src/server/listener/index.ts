/**
 * Listeners: sockets accept connections and turn their bytes into requests, with bounds on heads, connections and time.
 *
 * It never answers a well-formed request itself, except to redirect it to HTTPS.
 */
export { FrontDoor, type FrontDoorOptions } from './front-door.ts';
export { ListenError, type ListenerAddress, type ListenerSpec } from './listener.ts';
export { endSocketWith } from './refuse.ts';
export { type Forward, type ForwardTarget, type HeldTunnel, type OpenedTunnel, type TunnelDoor } from './tunnel.ts';
export { listenOnSocketPath } from './unix-socket.ts';
