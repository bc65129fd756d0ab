import type { Ingest } from './ingest.ts';

/** Transfers at once that continue without a follower: each is a download, and a connection, that no client waits for. */
const MAX_UNATTENDED = 4;
/** Milliseconds after which transfers without a follower make way for a request that has no answer yet. */
const MAKES_WAY_AFTER_MS = 5000;

/** The running transfers of one kind, at most one for each key. */
export class RunningTransfers<T extends { readonly ingest: Ingest }> {
  readonly #running = new Map<string, T>();
  #ended = 0;
  #isStopping = false;

  /** Transfers that have ended so far. A change tells that one ended during the read. */
  get ended(): number {
    return this.#ended;
  }

  /** True once the server stops: no transfer may be added. */
  get isStopping(): boolean {
    return this.#isStopping;
  }

  get ingests(): readonly Ingest[] {
    return [...this.#running.values()].map(({ ingest }) => ingest);
  }

  /** Whether one more may be started that has no follower. */
  get mayContinueUnattended(): boolean {
    return this.#unattended.length < MAX_UNATTENDED;
  }

  /** Whether one whose last follower has just left may go on. */
  get mayStayUnattended(): boolean {
    return this.#unattended.length <= MAX_UNATTENDED;
  }

  get #unattended(): readonly Ingest[] {
    return this.ingests.filter((ingest) => ingest.isUnattended);
  }

  /**
   * Lets transfers without a follower, and connections that only make others faster, make way where an answer is long in coming: the request for it may wait for one of their
   * connections, of which a host has a limited number (`transport.max_conns_per_host`).
   *
   * @param registry whose transfers make way
   */
  async makingWay<A>(registry: string, answer: Promise<A>): Promise<A> {
    const timer = setTimeout(() => {
      for (const ingest of this.ingests) {
        if (ingest.repository.registry !== registry) continue;
        if (ingest.isUnattended) ingest.stop(new Error('It makes way for a request that a client waits for'));
        else ingest.makeWay();
      }
    }, MAKES_WAY_AFTER_MS).unref();
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }

  get(key: string): T | undefined {
    return this.#running.get(key);
  }

  add(key: string, transfer: T): void {
    this.#running.set(key, transfer);
  }

  /** Gives a transfer another key, so that one more can be added under its own. */
  setAside(key: string): void {
    const transfer = this.#running.get(key);
    if (transfer === undefined) return;
    this.#running.delete(key);
    this.#running.set(`${key} ${transfer.ingest.id}`, transfer);
  }

  /** Removes a transfer that has settled. */
  remove(key: string, settled: Ingest): void {
    for (const each of [key, `${key} ${settled.id}`]) {
      if (this.#running.get(each)?.ingest === settled) this.#running.delete(each);
    }
    this.#ended += 1;
  }

  /** Stops every transfer; resolves when they have settled. */
  async close(): Promise<void> {
    this.#isStopping = true;
    const reason = new Error('The server is stopping');
    await Promise.all(
      this.ingests.map((ingest) => {
        ingest.stop(reason);
        return ingest.settled;
      }),
    );
  }
}
