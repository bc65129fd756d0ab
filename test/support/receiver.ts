import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/*
 * A receiver of webhooks that misbehaves on cue.
 */

/**
 * How a request is treated. A number: that status, with an empty body. `hang`: no answer, ever. `reset`: the connection is
 * cut. `huge`: 200 with a body that never ends. `slow`: 200 with a body of which a byte comes, and no more.
 */
export type ReceiverMood =
  | number
  | 'hang'
  | 'reset'
  | 'huge'
  | 'slow'
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string };

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** How it was treated. */
  readonly mood: ReceiverMood;
}

export interface Receiver extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, or `https://…` */
  readonly url: string;
  /** Oldest first. */
  readonly requests: readonly Received[];
  /** How further requests are treated: all of them, or each by what it is. @default 200 */
  mood: ReceiverMood | ((request: Omit<Received, 'mood'>) => ReceiverMood);
  /** Resolves with the requests that fit, once there are so many. */
  received(count: number, fits?: (request: Received) => boolean): Promise<readonly Received[]>;
  /** Responses that have begun and were not ended by either side. */
  readonly open: number;
}

const PATIENCE_MS = 60_000;

/** Listens on 127.0.0.1, on a free port; with TLS where it has a certificate, PEM. */
export async function startReceiver(tls?: { readonly cert: string; readonly key: string }): Promise<Receiver> {
  const requests: Received[] = [];
  const watchers = new Set<() => void>();
  let open = 0;
  const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    open += 1;
    response.once('close', () => (open -= 1));
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.on('error', () => {});
    incoming.once('end', () => take(incoming, response, Buffer.concat(pieces).toString()));
  };
  const server = tls === undefined ? createServer(handle) : createTlsServer(tls, handle);

  function take(
    { method = '', url: path = '', headers }: IncomingMessage,
    response: ServerResponse,
    body: string,
  ): void {
    const request = { method, path, headers, body };
    const mood = typeof receiver.mood === 'function' ? receiver.mood(request) : receiver.mood;
    requests.push({ ...request, mood });
    answer(response, mood);
    for (const look of watchers) look();
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const receiver: Receiver = {
    url: `http${tls === undefined ? '' : 's'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    mood: 200,
    get open() {
      return open;
    },
    received: (count, fits = () => true) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          watchers.delete(look);
          reject(new Error(`The receiver got ${requests.filter(fits).length} of ${count} requests`));
        }, PATIENCE_MS);
        const look = (): void => {
          const found = requests.filter(fits);
          if (found.length < count) return;
          watchers.delete(look);
          clearTimeout(timer);
          resolve(found);
        };
        watchers.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

function answer(response: ServerResponse, mood: ReceiverMood): void {
  if (mood === 'hang') return;
  if (mood === 'reset') return void response.destroy();
  if (mood === 'slow') return void response.writeHead(200, { 'content-length': '10' }).write('a');
  if (mood === 'huge') {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    };
    response.writeHead(200).on('drain', more);
    more();
    return;
  }
  if (typeof mood === 'number') return void response.writeHead(mood).end();
  response.writeHead(mood.status, mood.headers).end(mood.body ?? '');
}

interface ReceivedEvent {
  readonly id: string;
  readonly action: string;
  readonly actor: { readonly name?: string };
  readonly target: Readonly<Record<string, unknown>>;
}

/** The events of a body. */
export function eventsOf({ body }: Pick<Received, 'body'>): readonly ReceivedEvent[] {
  return (JSON.parse(body) as { readonly events: readonly ReceivedEvent[] }).events;
}
