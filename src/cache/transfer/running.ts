import type { Ingest } from './ingest.ts';

/** Transfers at once that continue without a follower: each is a download that no client waits for. */
const MAX_UNATTENDED = 4;

/** The running transfers of one kind, at most one for each key. */
export class RunningTransfers<T extends { readonly ingest: Ingest }> {
  readonly #running = new Map<string, T>();
  #ended = 0;
  #unattended = 0;
  #isStopping = false;

  /** Transfers that have ended so far. A change tells that one ended while the disk was asked. */
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

  /** Whether one more may continue without a follower. */
  get mayContinueUnattended(): boolean {
    return this.#unattended < MAX_UNATTENDED;
  }

  get(key: string): T | undefined {
    return this.#running.get(key);
  }

  add(key: string, transfer: T): void {
    this.#running.set(key, transfer);
  }

  /** Removes a transfer that has settled. */
  remove(key: string, settled: Ingest): void {
    if (this.#running.get(key)?.ingest === settled) this.#running.delete(key);
    this.#ended += 1;
  }

  continueUnattended(ingest: Ingest): void {
    ingest.continueUnattended();
    this.#unattended += 1;
    void ingest.settled.finally(() => {
      this.#unattended -= 1;
    });
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
