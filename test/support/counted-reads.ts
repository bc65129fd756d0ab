/**
 * Loaded into a process before its program (`node --import`), this counts what the process reads from each port that it connects to.
 * Ten times a second it writes the sums, and when it has written them, to the file that `FAULTS_READS` names.
 *
 * What a server has sent says less: on one machine megabytes of it rest in the buffers of a connection that the other side closes.
 */
import { subscribe } from 'node:diagnostics_channel';
import { renameSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';

const file = process.env['FAULTS_READS'];
if (file !== undefined) {
  const closed = new Map<string, number>();
  const open = new Map<Socket, string>();
  subscribe('net.client.socket', (message) => {
    const { socket } = message as { readonly socket: Socket };
    socket.once('connect', () => open.set(socket, String(socket.remotePort)));
    socket.once('close', () => {
      const port = open.get(socket);
      if (port === undefined) return;
      open.delete(socket);
      closed.set(port, (closed.get(port) ?? 0) + socket.bytesRead);
    });
  });
  setInterval(() => {
    const at = Date.now();
    const ports = new Map(closed);
    for (const [{ bytesRead }, port] of open) ports.set(port, (ports.get(port) ?? 0) + bytesRead);
    // Whole or not at all, for a reader at this moment.
    writeFileSync(`${file}.new`, JSON.stringify({ at, ports: Object.fromEntries(ports) }));
    renameSync(`${file}.new`, file);
  }, 100).unref();
}
