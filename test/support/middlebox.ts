import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** One TLS record as it was on the wire. */
export interface WireRecord {
  readonly type: number;
  readonly version: number;
  readonly payload: Buffer;
}

/** What a middlebox saw of one connection. */
export interface Passage {
  /** All the client sent. */
  readonly sent: Buffer;
  /** The records of the ClientHello. */
  readonly hello: readonly WireRecord[];
}

export interface Middlebox {
  readonly port: number;
  readonly passages: readonly Passage[];
  /** Resets every connection on the client's side. */
  reset(): void;
  close(): Promise<void>;
}

/**
 * Stands between a client and a server on this machine, reads the ClientHello as something that censors would, and cuts the
 * connection where `judge` says so, before the server hears a byte.
 */
export async function startMiddlebox(
  to: number,
  judge: (hello: readonly WireRecord[]) => 'reset' | 'end' | 'pass' = () => 'pass',
): Promise<Middlebox> {
  const passages: { sent: Buffer; hello: readonly WireRecord[] }[] = [];
  const sockets = new Set<Socket>();
  const clients = new Set<Socket>();
  function hold(socket: Socket): Socket {
    sockets.add(socket);
    return socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
  }
  const server = createServer({ noDelay: true }, (client) => {
    clients.add(hold(client).on('close', () => clients.delete(client)));
    const passage = { sent: Buffer.alloc(0), hello: [] as readonly WireRecord[] };
    passages.push(passage);
    let onward: Socket | undefined;
    client.on('data', (bytes: Buffer) => {
      // Enough to know what a connection began with; a long download is not to be kept.
      if (passage.sent.length < 64 * 1024) passage.sent = Buffer.concat([passage.sent, bytes]);
      if (onward !== undefined) return void onward.write(bytes);
      const hello = helloOf(passage.sent);
      if (hello === undefined) return;
      passage.hello = hello;
      const verdict = judge(hello);
      if (verdict === 'reset') return void client.resetAndDestroy();
      if (verdict === 'end') return void client.end();
      onward = hold(connect({ port: to, host: '127.0.0.1', noDelay: true }));
      onward.write(passage.sent);
      onward.pipe(client);
      onward.on('close', () => client.destroy());
      client.on('close', () => onward?.destroy());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    passages,
    reset: () => {
      for (const client of clients) client.resetAndDestroy();
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The records at the front of some bytes, as far as they are complete. */
export function recordsOf(bytes: Buffer): WireRecord[] {
  const records: WireRecord[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt16BE(at + 3);
    if (end > bytes.length) break;
    records.push({
      type: bytes.readUInt8(at),
      version: bytes.readUInt16BE(at + 1),
      payload: bytes.subarray(at + 5, end),
    });
    at = end;
  }
  return records;
}

/** The records that make up the ClientHello, once it is complete. */
function helloOf(bytes: Buffer): readonly WireRecord[] | undefined {
  const records = recordsOf(bytes);
  let message = Buffer.alloc(0);
  for (const [i, { payload }] of records.entries()) {
    message = Buffer.concat([message, payload]);
    if (message.length >= 4 && message.length >= 4 + message.readUIntBE(1, 3)) return records.slice(0, i + 1);
  }
  return undefined;
}
