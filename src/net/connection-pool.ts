import { setImmediate as nextTurn } from 'node:timers/promises';
import { policyKey } from './address-policy.ts';
import { Connection } from './connection.ts';
import type { Dial, DialTarget } from './dial.ts';
import { HttpError } from './http.ts';
import { abortedError } from './http-error.ts';

export interface PoolOptions {
  /** Milliseconds. */
  readonly idleConnTimeout: number;
  readonly maxIdleConnsPerHost: number;
  /** 0 is no limit. */
  readonly maxConnsPerHost: number;
}

/** How long a request waits for its turn. Long, since the layers before it are moving; not for ever. */
const TURN_TIMEOUT = 5 * 60_000;

interface Host {
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
  readonly refuse: (error: HttpError) => void;
}

/**
 * The connections to other servers, counted and kept per protocol, host, port and address policy: one that was opened
 * under a permissive policy must not serve a request under a strict one.
 */
export class ConnectionPool {
  readonly #dial: Dial;
  readonly #options: PoolOptions;
  readonly #hosts = new Map<string, Host>();
  readonly #hostOf = new WeakMap<Connection, Host>();
  #closed = false;

  constructor(dial: Dial, options: PoolOptions) {
    this.#dial = dial;
    this.#options = options;
  }

  /**
   * A connection for one exchange, to be given back with `release` or destroyed. The one used last comes first; `fresh`
   * asks for one that never served before. At `maxConnsPerHost`, whoever asked first is served first.
   */
  async acquire(target: DialTarget, { fresh = false }: { readonly fresh?: boolean } = {}): Promise<Connection> {
    const authority = `${target.host}:${target.port}`;
    if (this.#closed) throw abortedError(authority, new Error('the client is closed'));
    if (target.signal?.aborted) throw abortedError(authority, target.signal.reason);
    const key = `${target.protocol}//${authority} ${policyKey(target.addresses)}`;
    const host = this.#hosts.get(key) ?? { places: 0, idle: [], open: new Set(), waiting: new Set() };
    this.#hosts.set(key, host);

    const kept = fresh ? undefined : await lastUsed(host);
    if (kept !== undefined) return kept;
    const limit = this.#options.maxConnsPerHost;
    if (fresh && limit > 0 && host.places >= limit) host.idle.shift()?.destroy();
    if (limit > 0 && host.places >= limit) {
      const served = await this.#turn(host, target);
      if (served !== undefined) return served;
    } else {
      host.places++;
    }
    // From here a place is ours; it is given up when the dial fails or the connection dies.
    const vacate = (): void => this.#vacate(host, key);
    let connection: Connection;
    try {
      connection = await Connection.open(this.#dial, target);
    } catch (error) {
      vacate();
      throw error;
    }
    host.open.add(connection);
    this.#hostOf.set(connection, host);
    connection.whenDead(() => {
      host.open.delete(connection);
      const idle = host.idle.indexOf(connection);
      if (idle !== -1) host.idle.splice(idle, 1);
      vacate();
    });
    if (this.#closed) {
      connection.destroy();
      throw abortedError(authority, new Error('the client is closed'));
    }
    return connection;
  }

  /** Takes back a connection that can serve again. */
  release(connection: Connection): void {
    const host = this.#hostOf.get(connection);
    if (host === undefined || !connection.alive) return;
    const [next] = host.waiting;
    if (next !== undefined) next.serve(connection);
    else if (this.#closed || host.idle.length >= this.#options.maxIdleConnsPerHost) connection.destroy();
    else {
      host.idle.push(connection);
      connection.park(this.#options.idleConnTimeout);
    }
  }

  /** Closes every connection, those in use as well; whoever waits for one is refused. */
  close(): void {
    this.#closed = true;
    for (const [key, host] of this.#hosts) {
      for (const waiter of host.waiting) waiter.refuse(abortedError(key, new Error('the client is closed')));
      for (const connection of host.open) connection.destroy();
    }
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
      const waiter: Waiter = {
        serve: (connection) => {
          settle();
          resolve(connection);
        },
        refuse: (error) => {
          settle();
          reject(error);
        },
      };
      const abort = (): void => waiter.refuse(abortedError(authority, signal?.reason));
      const limit = this.#options.maxConnsPerHost;
      const message = `${authority} could not be asked: all ${limit} connections were in use for ${TURN_TIMEOUT} ms; a higher max_conns_per_host allows more`;
      const timer = setTimeout(() => waiter.refuse(new HttpError('timeout', message)), TURN_TIMEOUT);
      signal?.addEventListener('abort', abort, { once: true });
      host.waiting.add(waiter);
    });
  }

  #vacate(host: Host, key: string): void {
    const [next] = host.waiting;
    if (next !== undefined && !this.#closed) return next.serve(undefined);
    host.places--;
    if (host.places === 0 && this.#hosts.get(key) === host) this.#hosts.delete(key);
  }
}

/** The connection used last, if one is kept that still stands. */
async function lastUsed(host: Host): Promise<Connection | undefined> {
  for (let kept = host.idle.pop(); kept !== undefined; kept = host.idle.pop()) {
    kept.unpark();
    // What came while it was idle, its end or bytes nobody asked for, may not have been read yet: look once more.
    await nextTurn();
    if (kept.alive) return kept;
  }
  return undefined;
}
