/** An event with its place in the order of all. */
export interface Numbered {
  readonly number: number;
  /** As it is sent; bytes of it count. */
  readonly text: string;
}

interface RingOptions {
  /** @default 1000 */
  readonly maxEvents?: number;
  /** Characters of their texts together. @default 4 Mi */
  readonly maxLength?: number;
}

/** The last events, for clients that lost their connection. Numbers grow by one; a number that is skipped is a gap. */
export class Ring<Event extends Numbered> {
  readonly #maxEvents: number;
  readonly #maxLength: number;
  #events: Event[] = [];
  #length = 0;
  /** The first number whose events are all here. */
  #from = 1;

  constructor({ maxEvents = 1000, maxLength = 4 * 1024 * 1024 }: RingOptions = {}) {
    this.#maxEvents = maxEvents;
    this.#maxLength = maxLength;
  }

  add(event: Event): void {
    this.#events.push(event);
    this.#length += event.text.length;
    while (this.#events.length > this.#maxEvents || this.#length > this.#maxLength) {
      const dropped = this.#events.shift();
      if (dropped === undefined) break;
      this.#length -= dropped.text.length;
      this.#from = dropped.number + 1;
    }
  }

  /** Forgets all: events before this number were not seen. */
  clear(next: number): void {
    this.#events = [];
    this.#length = 0;
    this.#from = next;
  }

  /** The events after a number, the oldest first; undefined where some of them are gone. */
  after(number: number): readonly Event[] | undefined {
    if (number < this.#from - 1) return undefined;
    return this.#events.filter((event) => event.number > number);
  }
}
