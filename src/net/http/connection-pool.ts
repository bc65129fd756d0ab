import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Dial, DialTarget } from '../dial/index.ts';
import { policyKey } from '../dial/index.ts';
import { abortedError, closedError } from '../error.ts';
import { type HttpClientOptions, HttpError } from '../http-types.ts';
import { Connection } from './connection.ts';

type PoolOptions = Required<
  Pick<HttpClientOptions, 'idleConnTimeout' | 'maxIdleConnsPerHost' | 'maxIdleConns' | 'maxConnsPerHost'>
>;

/**
 * The kind of bodies on a connection. Bodies read whole (manifests, tokens) and streamed bodies (layers) have separate limits: a
 * layer holds its connection for minutes, and a manifest must not wait for it.
 */
export type Lane = 'whole' | 'stream';

/** Milliseconds a request waits for a connection: long, since it waits for layers in transfer. */
const WAIT_TIMEOUT = 5 * 60_000;

interface Host {
  /** Host and port, for messages. */
  readonly authority: string;
  /** Slots in use: connections, and dials in progress. */
  slots: number;
  /** Least recently used first. */
  readonly idle: Connection[];
  readonly open: Set<Connection>;
  /** In order of arrival. */
  readonly waiting: Set<Waiter>;
}

interface Waiter {
  /** Gets a connection that just became idle; undefined: a free slot, for a dial. */
  readonly serve: (connection: Connection | undefined) => void;
  /** Called when the client closes. */
  readonly refuse: () => void;
}

/**
 * The connections to other servers, limited and pooled per lane, protocol, host, port and address policy: a connection opened
 * under a permissive policy must not serve a request under a strict one.
 */
export class ConnectionPool {
  readonly #dial: Dial;
  readonly #options: PoolOptions;
  readonly #hosts = new Map<string, Host>();
  readonly #hostOf = new WeakMap<Connection, Host>();
  /** All idle connections, least recently used first. */
  readonly #idle = new Set<Connection>();
  #closed = false;
  /** Resolves when the last connection is closed; set once connections are no longer pooled. */
  #retired: PromiseWithResolvers<void> | undefined;

  constructor(dial: Dial, options: PoolOptions) {
    this.#dial = dial;
    this.#options = options;
  }

  /**
   * A connection for one exchange, to be given back with `release` or destroyed: the most recently used one, or with `fresh` a
   * new one. At `maxConnsPerHost`, requests are served in order of arrival.
   */
  async acquire(
    target: DialTarget,
    { lane, fresh = false }: { readonly lane: Lane; readonly fresh?: boolean },
  ): Promise<Connection> {
    const key = `${lane} ${target.protocol}//${target.host}:${target.port} ${policyKey(target.addresses)}`;
    for (;;) {
      this.#check(target);
      const kept = fresh ? undefined : this.#hosts.get(key)?.idle.pop();
      if (kept !== undefined) {
        this.#idle.delete(kept);
        kept.unpark();
      }
      const connection = kept ?? (await this.#takeSlot(key, { target, fresh }));
      if (connection === undefined) return await this.#open(key, target);
      // The end of the connection, or unsolicited bytes, may have arrived but not been read: check again after a turn.
      await nextTurn();
      if (!connection.alive) continue;
      if (target.signal?.aborted) this.release(connection);
      this.#check(target);
      return connection;
    }
  }

  /** Returns a reusable connection. */
  release(connection: Connection): void {
    const host = this.#hostOf.get(connection);
    if (host === undefined || !connection.alive) return;
    const [next] = host.waiting;
    if (next !== undefined) next.serve(connection);
    else if (this.#closed || this.#retired !== undefined || host.idle.length >= this.#options.maxIdleConnsPerHost)
      connection.destroy();
    else {
      host.idle.push(connection);
      connection.park(this.#options.idleConnTimeout);
      this.#keep(connection);
    }
  }

  /** Pools a connection; beyond the limit, the least recently used one of all hosts is closed. */
  #keep(connection: Connection): void {
    this.#idle.add(connection);
    const { maxIdleConns } = this.#options;
    const [oldest] = this.#idle;
    if (maxIdleConns > 0 && this.#idle.size > maxIdleConns) oldest?.destroy();
  }

  /** Closes every connection, including those in use, and refuses waiting requests. */
  close(): void {
    this.#closed = true;
    for (const { authority, waiting, open } of this.#hosts.values()) {
      for (const waiter of waiting) waiter.refuse();
      for (const connection of open) connection.destroy(closedError(authority));
    }
  }

  /** Stops pooling. Waiting and later requests are still served. Resolves when no connection is left. */
  retire(): Promise<void> {
    this.#retired ??= Promise.withResolvers();
    for (const connection of this.#idle) connection.destroy();
    if (this.#hosts.size === 0) this.#retired.resolve();
    return this.#retired.promise;
  }

  #check({ host, port, signal }: DialTarget): void {
    if (this.#closed) throw closedError(`${host}:${port}`);
    if (signal?.aborted) throw abortedError(`${host}:${port}`, signal.reason);
  }

  #host(key: string, target: DialTarget): Host {
    const known = this.#hosts.get(key);
    if (known !== undefined) return known;
    const host: Host = {
      authority: `${target.host}:${target.port}`,
      slots: 0,
      idle: [],
      open: new Set(),
      waiting: new Set(),
    };
    this.#hosts.set(key, host);
    return host;
  }

  /** Takes a slot for a dial (undefined), or waits for a slot or an idle connection. */
  async #takeSlot(
    key: string,
    { target, fresh }: { readonly target: DialTarget; readonly fresh: boolean },
  ): Promise<Connection | undefined> {
    const limit = this.#options.maxConnsPerHost;
    const known = this.#hosts.get(key);
    if (limit > 0 && fresh && known !== undefined && known.slots >= limit) known.idle.shift()?.destroy();
    // Looked up again: closing its last connection deletes a host.
    const host = this.#host(key, target);
    if (limit > 0 && host.slots >= limit) return await this.#wait(host, target);
    host.slots++;
    return undefined;
  }

  /** Dials with a slot, which is freed when the dial fails or, later, when the connection closes. */
  async #open(key: string, target: DialTarget): Promise<Connection> {
    const host = this.#host(key, target);
    let connection: Connection;
    try {
      connection = await Connection.open(this.#dial, target);
    } catch (error) {
      this.#freeSlot(host, key);
      throw error;
    }
    host.open.add(connection);
    this.#hostOf.set(connection, host);
    connection.whenDead(() => {
      host.open.delete(connection);
      const idle = host.idle.indexOf(connection);
      if (idle !== -1) host.idle.splice(idle, 1);
      this.#idle.delete(connection);
      this.#freeSlot(host, key);
    });
    if (this.#closed) connection.destroy();
    this.#check(target);
    return connection;
  }

  /** Waits for a connection or a slot. */
  #wait(host: Host, { host: name, port, signal }: DialTarget): Promise<Connection | undefined> {
    const authority = `${name}:${port}`;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        host.waiting.delete(waiter);
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      const fail = (error: HttpError): void => {
        settle();
        reject(error);
      };
      const waiter: Waiter = {
        serve: (connection) => {
          settle();
          resolve(connection);
        },
        refuse: () => fail(closedError(authority)),
      };
      const abort = (): void => fail(abortedError(authority, signal?.reason));
      const limit = this.#options.maxConnsPerHost;
      const message = `${authority} did not get the request: all ${limit} connections were in use for ${WAIT_TIMEOUT} ms; raise the limit of connections per host`;
      const timer = setTimeout(() => fail(new HttpError('timeout', message)), WAIT_TIMEOUT);
      signal?.addEventListener('abort', abort, { once: true });
      host.waiting.add(waiter);
    });
  }

  #freeSlot(host: Host, key: string): void {
    const [next] = host.waiting;
    if (next !== undefined) return next.serve(undefined);
    host.slots--;
    if (host.slots === 0) this.#hosts.delete(key);
    if (this.#hosts.size === 0) this.#retired?.resolve();
  }
}
