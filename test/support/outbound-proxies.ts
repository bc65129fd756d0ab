import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { testPem } from './raw-server.ts';

export interface ScriptedOutboundProxy {
  readonly port: number;
  /** What was asked of it, `host:port` each. */
  readonly asked: readonly string[];
  /** The credentials it was shown, `user:password` each. */
  readonly credentials: readonly string[];
  close(): Promise<void>;
}

export interface OutboundProxyScript {
  readonly kind: 'http' | 'https' | 'socks5';
  /** `user:password`; no other gets through. */
  readonly credential?: string;
  /** Where it really connects, on this machine, whatever name it was asked for. */
  readonly to?: number;
  /** Instead of connecting: an HTTP status, or a SOCKS5 reply; -1 says nothing at all, -2 hangs up. */
  readonly refuse?: number;
  /** Sent together with the consent, and not asked for. */
  readonly surplus?: string;
}

/** An outbound proxy for a test: CONNECT over TCP or TLS, or SOCKS5. It resolves nothing. */
export async function startOutboundProxy(script: OutboundProxyScript): Promise<ScriptedOutboundProxy> {
  const sockets = new Set<Socket>();
  const asked: string[] = [];
  const credentials: string[] = [];
  const seen = { asked, credentials };
  function hold(socket: Socket): Socket {
    sockets.add(socket);
    return socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
  }
  const serve = (client: Socket): void => {
    hold(client);
    const ask = script.kind === 'socks5' ? serveSocks : serveConnect;
    ask(client, { script, seen })
      .then((port) => port !== undefined && relay(client, hold(connect({ port, host: '127.0.0.1', noDelay: true }))))
      .catch(() => client.destroy());
  };
  const tls = { key: testPem('server-key'), cert: testPem('server'), noDelay: true };
  const server = script.kind === 'https' ? createTlsServer(tls, serve) : createServer({ noDelay: true }, serve);
  server.on('tlsClientError', () => undefined);
  if (script.kind === 'https') server.on('connection', hold);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    credentials,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
}

function relay(client: Socket, onward: Socket): Socket {
  client.on('close', () => onward.destroy());
  return client
    .pipe(onward)
    .on('close', () => client.destroy())
    .pipe(client);
}

interface Scene {
  readonly script: OutboundProxyScript;
  readonly seen: { readonly asked: string[]; readonly credentials: string[] };
}

/** The next bytes, at least so many; put back what is too much. */
async function take(socket: Socket, enough: (bytes: Buffer) => number | undefined): Promise<Buffer> {
  let kept = Buffer.alloc(0);
  for (;;) {
    const bytes = socket.read() as Buffer | null;
    if (bytes === null) await once(socket, 'readable');
    else kept = Buffer.concat([kept, bytes]);
    const length = enough(kept);
    if (length === undefined) continue;
    if (kept.length > length) socket.unshift(kept.subarray(length));
    return kept.subarray(0, length);
  }
}

async function serveConnect(client: Socket, { script, seen }: Scene): Promise<number | undefined> {
  const head = await take(client, (bytes) => {
    const end = bytes.indexOf('\r\n\r\n');
    return end === -1 ? undefined : end + 4;
  });
  const [, authority = ''] = /^CONNECT (\S+) HTTP\/1\.1\r\n/.exec(head.toString('latin1')) ?? [];
  const [, encoded] = /\r\nproxy-authorization: Basic (\S+)\r\n/i.exec(head.toString('latin1')) ?? [];
  const credential = encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString();
  seen.asked.push(authority);
  if (credential !== undefined) seen.credentials.push(credential);
  const status = script.credential !== credential ? 407 : (script.refuse ?? 200);
  if (status === -1) return undefined;
  if (status === -2) throw new Error('as scripted');
  client.write(`HTTP/1.1 ${status} As Scripted\r\ncontent-length: 0\r\n\r\n${script.surplus ?? ''}`);
  return status === 200 ? (script.to ?? Number(authority.split(':').at(-1))) : undefined;
}

async function serveSocks(client: Socket, { script, seen }: Scene): Promise<number | undefined> {
  const greeting = await take(client, (bytes) =>
    bytes.length >= 2 + (bytes[1] ?? 0) ? 2 + (bytes[1] ?? 0) : undefined,
  );
  const method = script.credential === undefined ? 0 : 2;
  const offered = greeting.subarray(2).includes(method);
  client.write(Buffer.from([5, offered ? method : 255]));
  if (!offered) return undefined;
  if (method === 2) {
    const shown = await take(client, (bytes) => {
      const user = bytes[1] ?? 0;
      const length = 3 + user + (bytes[2 + user] ?? 0);
      return bytes.length > 2 + user && bytes.length >= length ? length : undefined;
    });
    const user = shown.subarray(2, 2 + (shown[1] ?? 0)).toString();
    const credential = `${user}:${shown.subarray(3 + (shown[1] ?? 0)).toString()}`;
    seen.credentials.push(credential);
    client.write(Buffer.from([1, credential === script.credential ? 0 : 1]));
    if (credential !== script.credential) return undefined;
  }
  const lengthOf = (bytes: Buffer): number => (bytes[3] === 1 ? 10 : bytes[3] === 4 ? 22 : 7 + (bytes[4] ?? 0));
  const request = await take(client, (bytes) =>
    bytes.length >= 5 && bytes.length >= lengthOf(bytes) ? lengthOf(bytes) : undefined,
  );
  const end = request.length - 2;
  const port = request.readUInt16BE(end);
  const host =
    request[3] === 3
      ? request.subarray(5, end).toString()
      : request[3] === 1
        ? request.subarray(4, end).join('.')
        : request.subarray(4, end).toString('hex');
  seen.asked.push(`${host}:${port}`);
  const reply = script.refuse ?? 0;
  if (reply === -1) return undefined;
  if (reply === -2) throw new Error('as scripted');
  // The bound address as a name, the kind of answer that is longer than most expect.
  const bound = reply === 0 ? [3, 4, 0x62, 0x6f, 0x75, 0x6e] : [1, 0, 0, 0, 0];
  client.write(Buffer.concat([Buffer.from([5, reply, 0, ...bound, 0, 0]), Buffer.from(script.surplus ?? '')]));
  return reply === 0 ? (script.to ?? port) : undefined;
}
