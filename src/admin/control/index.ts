/**
 * The control socket of a running server, and its client: operations and streams for commands of the same machine.
 *
 * It serves whatever operations it is given, and never asks who calls: the mode of the socket is its authority.
 */
export { ControlError, callControl, sendControl } from './client.ts';
export { createControl } from './socket.ts';
export { controlSocketPath } from './socket-path.ts';
