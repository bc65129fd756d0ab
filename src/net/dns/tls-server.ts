import type { Socket } from 'node:net';
import type { Dial, Dialled } from '../dial/index.ts';
import { DnsServerError } from './dns-error.ts';
import { type DnsServer, IDLE_TIMEOUT } from './dns-server.ts';
import { type DnsAnswer, type DnsQuestion, decodeAnswer, encodeQuery, idOf } from './message.ts';
import { type DnsServerAddress, shownDnsServer } from './server-address.ts';

/** Pending queries on one connection. Ids have 16 bits; far fewer queries are ever needed at once. */
const MAX_QUESTIONS = 1024;

/** A name server over TLS (RFC 7858): one connection with any number of queries, answered in any order. */
export function createTlsServer(
  address: DnsServerAddress & { readonly kind: 'tls' },
  { dial, queryTimeout }: { readonly dial: Dial; readonly queryTimeout: number },
): DnsServer {
  const name = shownDnsServer(address);
  let current: Promise<Channel> | undefined;

  function channel(): Promise<Channel> {
    if (current !== undefined) return current;
    const opened = open();
    current = opened;
    opened.then(
      (made) => made.whenClosed(() => forget(opened)),
      () => forget(opened),
    );
    return opened;
  }

  function forget(which: Promise<Channel>): void {
    if (current === which) current = undefined;
  }

  async function open(): Promise<Channel> {
    const { host, port, certificateName } = address;
    const addresses = { kind: 'any' } as const;
    return new Channel(await dial({ protocol: 'https:', host, port, certificateName, addresses, alpn: [] }), name);
  }

  async function ask(question: DnsQuestion): Promise<DnsAnswer> {
    const kept = current !== undefined;
    try {
      return await (await channel()).ask(question, queryTimeout);
    } catch (error) {
      // The server may close a kept connection while a query is on its way (RFC 7858 §3.4): one retry on a new connection.
      if (!kept || !(error instanceof ChannelClosed)) throw error;
      return await (await channel()).ask(question, queryTimeout);
    }
  }

  return {
    name,
    ask: (question) => within(queryTimeout, { name, work: ask(question) }),
    // An idle connection closes by itself after a while.
    close: ({ graceful = false } = {}) => {
      if (!graceful) void current?.then((made) => made.close()).catch(() => undefined);
    },
  };
}

class ChannelClosed extends DnsServerError {}

interface Waiting {
  readonly question: DnsQuestion;
  readonly reply: PromiseWithResolvers<DnsAnswer>;
  readonly timer: NodeJS.Timeout;
}

/** One connection: each message follows its length (RFC 1035 §4.2.2). */
class Channel {
  readonly #name: string;
  readonly #socket: Socket;
  readonly #connection: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onClosed: (() => void)[] = [];
  #nextId = Math.floor(Math.random() * 65_536);
  #kept: Buffer = Buffer.alloc(0);
  #closed = false;

  constructor({ socket, connection }: Dialled, name: string) {
    this.#name = name;
    this.#socket = socket;
    this.#connection = connection;
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('end', () => this.close());
    socket.on('error', (error) => this.close(error));
    socket.on('close', () => this.close());
    socket.setTimeout(IDLE_TIMEOUT, () => this.#waiting.size === 0 && this.close());
    connection.unref();
    if (socket.destroyed) this.close();
  }

  whenClosed(listener: () => void): void {
    if (this.#closed) listener();
    else this.#onClosed.push(listener);
  }

  ask(question: DnsQuestion, timeout: number): Promise<DnsAnswer> {
    if (this.#closed) return Promise.reject(new ChannelClosed(`${this.#name} closed the connection`));
    if (this.#waiting.size >= MAX_QUESTIONS) {
      return Promise.reject(new DnsServerError(`${this.#name} has ${MAX_QUESTIONS} pending queries already`));
    }
    while (this.#waiting.has(this.#nextId)) this.#nextId = (this.#nextId + 1) & 0xffff;
    const id = this.#nextId;
    this.#nextId = (id + 1) & 0xffff;
    const reply = Promise.withResolvers<DnsAnswer>();
    // A connection that leaves one query unanswered is closed: it may be dead.
    const timer = setTimeout(() => this.close(new Error(`no answer within ${timeout} ms`)), timeout);
    this.#waiting.set(id, { question, reply, timer });
    this.#connection.ref();
    const message = encodeQuery(question, { id });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    // One write: otherwise the length would travel in a segment of its own (RFC 7766 §8).
    this.#socket.write(Buffer.concat([length, message]));
    return reply.promise;
  }

  close(cause?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    const reason = cause === undefined ? 'closed the connection' : `failed (${cause.message})`;
    for (const { reply, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reply.reject(new ChannelClosed(`${this.#name} ${reason}`, { cause }));
    }
    this.#waiting.clear();
    for (const listener of this.#onClosed) listener();
  }

  #take(bytes: Buffer): void {
    this.#kept = this.#kept.length === 0 ? bytes : Buffer.concat([this.#kept, bytes]);
    // A message has at most 64 KiB, which bounds the buffer.
    while (this.#kept.length >= 2) {
      const end = 2 + this.#kept.readUInt16BE(0);
      if (this.#kept.length < end) return;
      const message = this.#kept.subarray(2, end);
      this.#kept = this.#kept.subarray(end);
      this.#answer(message);
    }
  }

  #answer(message: Buffer): void {
    const id = idOf(message);
    const waiting = this.#waiting.get(id);
    // An unknown id is a late answer, or an unsolicited one.
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (this.#waiting.size === 0) this.#connection.unref();
    try {
      waiting.reply.resolve(decodeAnswer(message, waiting.question));
    } catch (error) {
      waiting.reply.reject(error);
    }
  }
}

/** The deadline of a whole query, connections included. The work behind it continues, with deadlines of its own. */
async function within<T>(
  timeout: number,
  { name, work }: { readonly name: string; readonly work: Promise<T> },
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new DnsServerError(`${name} did not answer within ${timeout} ms`)),
    timeout,
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
