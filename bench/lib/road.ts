import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/**
 * A forward proxy a client goes through: `absolute` asks it for a URL, `connect` has a tunnel made. `ca`: within the
 * tunnel TLS is spoken, by a client that trusts this PEM.
 */
export interface Via {
  readonly kind: 'absolute' | 'connect';
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly ca?: string;
}

const MAX_HEAD = 16 * 1024;

/** A socket on which the request for a URL can be written. Rejects where the forward proxy refuses. */
export async function openRoad(url: URL, { kind, url: proxy, ca }: Via): Promise<Socket> {
  const { hostname, port } = new URL(proxy);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  if (kind === 'absolute') return socket;
  socket.write(`CONNECT ${url.host} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
  const head = await readHead(socket);
  if (!/^HTTP\/1\.\d 200\b/.test(head)) throw new Error(`the forward proxy answered "${head.split('\r\n', 1)[0]}"`);
  if (ca === undefined) return socket;
  const inner = connectTls({ socket, ca, servername: url.hostname, ALPNProtocols: ['http/1.1'] });
  await once(inner, 'secureConnect');
  return inner;
}

/** Reads a head and no byte behind it: nothing is said in a tunnel before the client speaks. */
function readHead(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let head = '';
    const settle = (): void => void socket.off('data', take).off('error', reject).off('end', ended);
    function take(chunk: Buffer): void {
      head += chunk.toString('latin1');
      if (!head.endsWith('\r\n\r\n') && head.length < MAX_HEAD) return;
      settle();
      resolve(head);
    }
    function ended(): void {
      settle();
      reject(new Error('the forward proxy closed the connection'));
    }
    socket.on('data', take).on('error', reject).on('end', ended);
  });
}
