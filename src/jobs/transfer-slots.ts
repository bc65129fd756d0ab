import { abortable, ConcurrencyLimit } from '../lib/index.ts';

interface Slots {
  readonly transfers: number;
  readonly limit: ConcurrencyLimit;
  users: number;
}

/** Where transfers of jobs wait for their turn, so that clients of a registry find a connection free. */
export class TransferSlots {
  readonly #transfersOf: (registry: string) => number;
  readonly #slots = new Map<string, Slots>();

  /** @param transfersOf how many transfers a registry takes at once. A reload may change it: what has begun ends under the old number */
  constructor(transfersOf: (registry: string) => number) {
    this.#transfersOf = transfersOf;
  }

  /** Waits for a slot of a registry, and no longer than until the signal aborts; the slot then passes on. */
  async run(registry: string, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const slots = this.#slotsOf(registry);
    slots.users += 1;
    const begun = Promise.withResolvers<void>();
    const done = slots.limit
      .run(async () => {
        begun.resolve();
        if (!signal.aborted) await work();
      })
      .finally(() => {
        slots.users -= 1;
        if (slots.users === 0 && this.#slots.get(registry) === slots) this.#slots.delete(registry);
      });
    await abortable(begun.promise, signal);
    await done;
  }

  /** Slots of several registries. They are taken in the order of the names, so that two tasks never wait for each other. */
  runInAll(registries: readonly string[], work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const [last, ...others] = [...new Set(registries)].toSorted().toReversed();
    if (last === undefined) return work();
    return others.reduce<() => Promise<void>>(
      (inner, registry) => () => this.run(registry, inner, signal),
      () => this.run(last, work, signal),
    )();
  }

  #slotsOf(registry: string): Slots {
    const transfers = Math.max(1, this.#transfersOf(registry));
    const known = this.#slots.get(registry);
    const slots =
      known?.transfers === transfers ? known : { transfers, limit: new ConcurrencyLimit(transfers), users: 0 };
    this.#slots.set(registry, slots);
    return slots;
  }
}
