/** Milliseconds after which it is opened although nothing has asked for it. */
const SETTLED = 1000;

/**
 * Opens something at the first {@link get}, or one second after it was made.
 *
 * It postpones what only a request to another server needs: a start does not wait for it, and cached content is served
 * meanwhile. It is opened after a second in any case, so that the first pull from an upstream does not pay for it.
 */
export class OpenOnce<T> {
  readonly #open: () => Promise<T>;
  readonly #timer: NodeJS.Timeout;
  #opening: Promise<T> | undefined;
  #opened: T | undefined;

  constructor(open: () => Promise<T>) {
    this.#open = open;
    // A failure is reported to the next caller, which opens it again.
    this.#timer = setTimeout(() => void this.get().catch(() => {}), SETTLED);
    this.#timer.unref();
  }

  /** The same for all callers. Rejects where it cannot be opened; the next call then tries again. */
  get(): Promise<T> {
    this.#opening ??= this.#attempt();
    return this.#opening;
  }

  /** Undefined until it is open. */
  get opened(): T | undefined {
    return this.#opened;
  }

  /** Cancels the opening that is scheduled. */
  close(): void {
    clearTimeout(this.#timer);
  }

  async #attempt(): Promise<T> {
    try {
      this.#opened = await this.#open();
      return this.#opened;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }
}
