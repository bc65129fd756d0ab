import type { Caller, LiveEvent } from '../../admin/index.ts';
import type { Headers, RequestContext } from '../../server/index.ts';
import { SECURITY_HEADERS } from '../problem.ts';
import type { Numbered } from './ring.ts';
import { type ShowTo, shownTo } from './visible.ts';

/** An event on its way to every stream. */
export interface Published extends Numbered {
  readonly event: LiveEvent;
  /** False where a later one says all of it again: it is not kept for clients that come back. */
  readonly isKept: boolean;
  /** What of it a caller may see, where its source knows that better. */
  readonly show?: ShowTo | undefined;
}

/** Bytes that may wait for a client; one that reads more slowly is cut, and comes back to a gap or to what it missed. */
const MAX_WAITING = 256 * 1024;

export const STREAM_HEADERS: Headers = {
  ...SECURITY_HEADERS,
  'content-type': 'text/event-stream; charset=utf-8',
  // A server in front would hold events back until its buffer is full.
  'x-accel-buffering': 'no',
};

interface StreamOptions {
  readonly context: RequestContext;
  /** Undefined: all. */
  readonly kinds: ReadonlySet<string> | undefined;
  readonly caller: Caller;
  readonly idOf: (number: number) => string;
}

/** The answer to one client that follows events (WHATWG HTML, "Server-sent events"). */
export class EventStream {
  readonly #options: StreamOptions;
  /** What waits for an event before it, which has a question open. */
  #queue: Published[] | undefined;
  #queued = 0;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** Sends the head, and the number from which a client that comes back goes on. */
  begin(number: number): void {
    const { context, idOf } = this.#options;
    context.response.writeHead(200, { 'x-request-id': context.id, ...STREAM_HEADERS });
    this.#write(`retry: 3000\nid: ${idOf(number)}\n\n`);
  }

  /** Events before this one were missed, and are gone. */
  tellGap(number: number): void {
    this.#write(`event: gap\nid: ${this.#options.idOf(number)}\ndata: {}\n\n`);
  }

  send(published: Published): void {
    const { kinds, caller, context } = this.#options;
    if (kinds !== undefined && !kinds.has(published.event.kind)) return;
    if (this.#queue !== undefined) {
      this.#queue.push(published);
      this.#queued += published.text.length;
      if (this.#queued > MAX_WAITING) context.response.destroy();
      return;
    }
    const { event, show } = published;
    const shown = show === undefined || caller.seesAll ? shownTo(event, caller) : show(caller);
    if (!(shown instanceof Promise)) return this.#deliver(published, shown);
    this.#queue = [];
    // Without an answer it is not shown.
    void shown.catch(() => undefined).then((seen) => this.#goOn(published, seen));
  }

  #goOn(published: Published, shown: LiveEvent | undefined): void {
    this.#deliver(published, shown);
    const waiting = this.#queue ?? [];
    this.#queue = undefined;
    this.#queued = 0;
    for (const each of waiting) this.send(each);
  }

  #deliver({ event, number, text, isKept }: Published, shown: LiveEvent | undefined): void {
    if (shown === undefined) return;
    const id = isKept ? `id: ${this.#options.idOf(number)}\n` : '';
    this.#write(`${id}${shown === event ? text : messageOf(shown)}`);
  }

  /** Keeps servers in front from closing an idle connection, and says how far the client is where nothing waits for it. */
  beat(number: number): void {
    this.#write(this.#queue === undefined ? `: alive\nid: ${this.#options.idOf(number)}\n\n` : ': alive\n\n');
  }

  end(): void {
    this.#options.context.response.end();
  }

  #write(text: string): void {
    const { context } = this.#options;
    const { response } = context;
    if (response.destroyed || response.writableEnded) return;
    // One packet for what is sent in one turn.
    if (response.writableCorked === 0) {
      response.cork();
      process.nextTick(() => response.uncork());
    }
    response.write(text);
    context.bytes += Buffer.byteLength(text);
    if (response.writableLength > MAX_WAITING) response.destroy();
  }
}

/** Without its id. JSON has no line breaks, so one line of data holds it. */
export function messageOf({ kind, data }: LiveEvent): string {
  return `event: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
}
