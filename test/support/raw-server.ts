import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

/** One request that a raw server received, and the socket to say anything on, byte for byte. */
export interface RawRequest {
  readonly socket: Socket;
  /** The head as it came, with the empty line. */
  readonly text: string;
  /** Counted from 1, over the server. */
  readonly connection: number;
  /** Counted from 1, within the connection. */
  readonly turn: number;
}

export interface RawServer {
  readonly port: number;
  readonly sockets: readonly Socket[];
  readonly requests: readonly RawRequest[];
  url(path?: string): URL;
  close(): Promise<void>;
}

/**
 * A server that says exactly what a test tells it to: right, wrong, late or in pieces. On 127.0.0.1, on a free port.
 *
 * `answer` hears every request; `connected` hears every connection before any request.
 */
export async function startRawServer(
  answer: (request: RawRequest) => void,
  {
    tls = false,
    requestCert = false,
    connected = () => undefined,
  }: {
    readonly tls?: boolean;
    readonly requestCert?: boolean;
    readonly connected?: (socket: Socket) => void;
  } = {},
): Promise<RawServer> {
  const sockets: Socket[] = [];
  const requests: RawRequest[] = [];
  function serve(socket: Socket): void {
    const connection = sockets.push(socket);
    socket.on('error', () => undefined);
    let turn = 0;
    let kept = '';
    socket.on('data', (bytes: Buffer) => {
      kept += bytes.toString('latin1');
      for (let end = kept.indexOf('\r\n\r\n'); end !== -1; end = kept.indexOf('\r\n\r\n')) {
        const request = { socket, text: kept.slice(0, end + 4), connection, turn: ++turn };
        kept = kept.slice(end + 4);
        requests.push(request);
        answer(request);
      }
    });
    connected(socket);
  }
  const raw: Socket[] = [];
  const server = tls
    ? createTlsServer(
        {
          key: testPem('server-key'),
          cert: testPem('server'),
          noDelay: true,
          ...(requestCert ? { requestCert, ca: testPem('ca') } : {}),
        },
        serve,
      )
    : createServer({ noDelay: true }, serve);
  server.on('connection', (socket: Socket) => raw.push(socket));
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    sockets,
    requests,
    url: (path = '/') => new URL(`${tls ? 'https' : 'http'}://127.0.0.1:${port}${path}`),
    close: async () => {
      for (const socket of [...sockets, ...raw]) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The text of one of the certificates and keys in `tls/`. */
export function testPem(name: 'ca' | 'server' | 'server-key' | 'client' | 'client-key'): string {
  return readFileSync(new URL(`tls/${name}.pem`, import.meta.url), 'utf8');
}
