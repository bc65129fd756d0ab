import { connect, createServer, type Socket } from 'node:net';

/** A way to a server on which connections are counted. */
export interface CountingRelay extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Connections so far. */
  readonly opened: number;
  /** Connections that are open. */
  readonly open: number;
}

/** Passes every connection on to a server on this machine. @param url `http://127.0.0.1:PORT` */
export async function startCountingRelay(url: string): Promise<CountingRelay> {
  const { hostname: host, port } = new URL(url);
  const sockets = new Set<Socket>();
  let opened = 0;
  const server = createServer((client) => {
    opened += 1;
    sockets.add(client);
    const target = connect({ host, port: Number(port), noDelay: true });
    client.setNoDelay(true);
    for (const socket of [client, target]) socket.on('error', () => undefined);
    client.on('close', () => {
      sockets.delete(client);
      target.destroy();
    });
    target.on('close', () => client.destroy());
    client.pipe(target).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a relay has a port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    get opened() {
      return opened;
    },
    get open() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
