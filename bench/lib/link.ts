import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** How far the line may fall behind, by timers that fire late, and still catch up; milliseconds. */
const LATENESS = 50;

/** A way to a server that carries no more than so much. */
export interface Link {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Bytes that it has carried from the server. */
  readonly carried: number;
  close(): Promise<void>;
}

export interface LinkOptions {
  readonly bytesPerSecond: number;
  /** Each connection has the rate for itself, as over long lines. @default false */
  readonly perConnection?: boolean;
  /** Milliseconds between a request and the first byte of its response. @default 0 */
  readonly roundTrip?: number;
}

/**
 * Opens a port that leads to another server over a thin line: what the server sends passes at `bytesPerSecond`, for all
 * connections together unless each has its own.
 *
 * The clock is that of the whole line, not of each piece: a timer that fires late is made up for, so that the rate is
 * what it says, and a pull can be held to a twentieth of it.
 */
export async function openLink(to: string, options: LinkOptions): Promise<Link> {
  const { bytesPerSecond, perConnection = false, roundTrip = 0 } = options;
  const target = new URL(to);
  const sockets = new Set<Socket>();
  let carried = 0;
  /** Milliseconds until what was just put on a line has passed. */
  function openLine(): (bytes: number) => number {
    let freeAt = 0;
    return (bytes) => {
      const now = performance.now();
      freeAt = Math.max(freeAt, now - LATENESS) + (bytes / bytesPerSecond) * 1000;
      return Math.max(0, freeAt - now);
    };
  }
  const shared = openLine();

  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: target.hostname, port: Number(target.port), noDelay: true });
    sockets.add(near).add(far);
    near.on('error', () => far.destroy());
    near.on('close', () => far.destroy());
    far.on('error', () => near.destroy());
    for (const socket of [near, far]) socket.on('close', () => sockets.delete(socket));
    const occupy = perConnection ? openLine() : shared;
    if (roundTrip === 0) near.pipe(far);
    else near.on('data', (chunk) => setTimeout(() => far.destroyed || far.write(chunk), roundTrip));

    // A stream ends although it is paused when nothing is left in it: what is on the line goes first.
    let isCarrying = false;
    let isOver = false;
    far.on('data', (chunk) => {
      far.pause();
      isCarrying = true;
      // Bytes arrive when the line has carried them, not when it began to.
      setTimeout(() => {
        isCarrying = false;
        if (near.destroyed) return;
        carried += chunk.length;
        const hasRoom = near.write(chunk);
        if (isOver) near.end();
        else if (hasRoom) far.resume();
        else near.once('drain', () => far.resume());
      }, occupy(chunk.length));
    });
    far.on('end', () => {
      isOver = true;
      if (!isCarrying) near.end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get carried() {
      return carried;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
