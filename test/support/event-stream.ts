import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';

/** One message of a stream. */
export interface StreamMessage {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: unknown;
}

/** A client that follows `GET /api/v1/events`. */
export interface FollowedEvents {
  readonly response: IncomingMessage;
  /** The id that a client which comes back would send. */
  readonly lastId: string | undefined;
  readonly messages: readonly StreamMessage[];
  /** The first message that fits, of those that came and of those to come. Rejects where the stream ends before. */
  next(fits: (message: StreamMessage) => boolean): Promise<StreamMessage>;
  /** Resolves when the server has ended the stream, or the connection. */
  readonly ended: Promise<void>;
  close(): void;
}

/** Follows events; the head has come when it resolves. @param query with `?` */
export async function followEvents(
  url: string,
  { query = '', headers = {} }: { readonly query?: string; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<FollowedEvents> {
  const request = get(`${url}/api/v1/events${query}`, { headers, agent: false });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const messages: StreamMessage[] = [];
  const watchers = new Set<() => void>();
  let text = '';
  let lastId: string | undefined;
  let isOver = false;
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      isOver = true;
      for (const look of watchers) look();
      resolve();
    };
    response.once('close', end);
    response.on('error', () => {});
    request.on('error', () => {});
  });
  response.setEncoding('utf8');
  response.on('data', (piece: string) => {
    text += piece;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(
        block.split('\n').map((line) => [line.split(':', 1)[0] ?? '', line.replace(/^[^:]*: ?/, '')]),
      );
      const id = fields.get('id');
      lastId = id ?? lastId;
      const data = fields.get('data');
      if (data !== undefined) messages.push({ event: fields.get('event') ?? 'message', id, data: JSON.parse(data) });
    }
    for (const look of watchers) look();
  });
  return {
    response,
    get lastId() {
      return lastId;
    },
    messages,
    next: (fits) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = messages.find(fits);
          if (found === undefined && !isOver) return;
          watchers.delete(look);
          if (found === undefined) reject(new Error(`The stream ended with ${JSON.stringify(messages)}`));
          else resolve(found);
        };
        watchers.add(look);
        look();
      }),
    ended,
    close: () => request.destroy(),
  };
}
