import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Dial, DialTarget } from '../dial/index.ts';
import { policyKey } from '../dial/index.ts';
import { abortedError, closedError } from '../error.ts';
import { HttpError } from '../http-types.ts';
import { Connection } from './connection.ts';

export interface PoolOptions {
  /** Milliseconds. */
  readonly idleConnTimeout: number;
  readonly maxIdleConnsPerHost: number;
  /** Over all hosts; 0 is no limit. */
  readonly maxIdleConns: number;
  /** 0 is no limit. */
  readonly maxConnsPerHost: number;
}

/**
 * What a connection is for. Bodies read whole (manifests, tokens) and bodies that are streamed (layers) are counted apart:
 * a layer holds its connection for minutes, and what is small must not wait for it.
 */
export type Lane = 'whole' | 'stream';

/** How long a request waits for its turn. Long, since the layers before it are moving; not for ever. */
const TURN_TIMEOUT = 5 * 60_000;

interface Host {
  /** Host and port, for messages. */
  readonly authority: string;
  /** Places taken: connections, and dials under way. */
  places: number;
  /** Used longest ago first. */
  readonly idle: Connection[];
  readonly open: Set<Connection>;
  /** In the order they came. */
  readonly waiting: Set<Waiter>;
}

interface Waiter {
  /** A connection that just became free, or undefined: a place to dial into. */
  readonly serve: (connection: Connection | undefined) => void;
  /** The client closes. */
  readonly refuse: () => void;
}

/**
 * The connections to other servers, counted and kept per lane, protocol, host, port and address policy: one that was
 * opened under a permissive policy must not serve a request under a strict one.
 */
export class ConnectionPool {
  readonly #dial: Dial;
  readonly #options: PoolOptions;
  readonly #hosts = new Map<string, Host>();
  readonly #hostOf = new WeakMap<Connection, Host>();
  /** Every connection kept unused, the one used longest ago first. */
  readonly #idle = new Set<Connection>();
  #closed = false;
  /** Resolves when the last connection is gone; set from when nothing is kept any more. */
  #retired: PromiseWithResolvers<void> | undefined;

  constructor(dial: Dial, options: PoolOptions) {
    this.#dial = dial;
    this.#options = options;
  }

  /**
   * A connection for one exchange, to be given back with `release` or destroyed. The one used last comes first; `fresh`
   * asks for one that never served before. At `maxConnsPerHost`, whoever asked first is served first.
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
      const connection = kept ?? (await this.#place(key, { target, fresh }));
      if (connection === undefined) return await this.#open(key, target);
      // What came since its last answer, its end or bytes nobody asked for, may not have been read yet: look once more.
      await nextTurn();
      if (!connection.alive) continue;
      if (target.signal?.aborted) this.release(connection);
      this.#check(target);
      return connection;
    }
  }

  /** Takes back a connection that can serve again. */
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

  /** Where too many are kept, the one that was used longest ago goes, whatever its host. */
  #keep(connection: Connection): void {
    this.#idle.add(connection);
    const { maxIdleConns } = this.#options;
    const [oldest] = this.#idle;
    if (maxIdleConns > 0 && this.#idle.size > maxIdleConns) oldest?.destroy();
  }

  /** Closes every connection, those in use as well; whoever waits for one is refused. */
  close(): void {
    this.#closed = true;
    for (const { authority, waiting, open } of this.#hosts.values()) {
      for (const waiter of waiting) waiter.refuse();
      for (const connection of open) connection.destroy(closedError(authority));
    }
  }

  /** Keeps nothing from now on; who waits is served, and so is who comes. Resolves when no connection is left. */
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
      places: 0,
      idle: [],
      open: new Set(),
      waiting: new Set(),
    };
    this.#hosts.set(key, host);
    return host;
  }

  /** Takes a place to dial into (undefined), or waits until there is one or a connection becomes free. */
  async #place(
    key: string,
    { target, fresh }: { readonly target: DialTarget; readonly fresh: boolean },
  ): Promise<Connection | undefined> {
    const limit = this.#options.maxConnsPerHost;
    const known = this.#hosts.get(key);
    if (limit > 0 && fresh && known !== undefined && known.places >= limit) known.idle.shift()?.destroy();
    // Asked for anew: with its last connection, a host is forgotten.
    const host = this.#host(key, target);
    if (limit > 0 && host.places >= limit) return await this.#turn(host, target);
    host.places++;
    return undefined;
  }

  /** Dials into a place that was taken; it is given up when the dial fails or, later, the connection dies. */
  async #open(key: string, target: DialTarget): Promise<Connection> {
    const host = this.#host(key, target);
    let connection: Connection;
    try {
      connection = await Connection.open(this.#dial, target);
    } catch (error) {
      this.#vacate(host, key);
      throw error;
    }
    host.open.add(connection);
    this.#hostOf.set(connection, host);
    connection.whenDead(() => {
      host.open.delete(connection);
      const idle = host.idle.indexOf(connection);
      if (idle !== -1) host.idle.splice(idle, 1);
      this.#idle.delete(connection);
      this.#vacate(host, key);
    });
    if (this.#closed) connection.destroy();
    this.#check(target);
    return connection;
  }

  /** Waits for a connection or a place. */
  #turn(host: Host, { host: name, port, signal }: DialTarget): Promise<Connection | undefined> {
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
      const message = `${authority} could not be asked: all ${limit} connections were in use for ${TURN_TIMEOUT} ms; a higher limit of connections per host allows more`;
      const timer = setTimeout(() => fail(new HttpError('timeout', message)), TURN_TIMEOUT);
      signal?.addEventListener('abort', abort, { once: true });
      host.waiting.add(waiter);
    });
  }

  #vacate(host: Host, key: string): void {
    const [next] = host.waiting;
    if (next !== undefined) return next.serve(undefined);
    host.places--;
    if (host.places === 0) this.#hosts.delete(key);
    if (this.#hosts.size === 0) this.#retired?.resolve();
  }
}
