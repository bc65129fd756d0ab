import type { PullUnderWay } from '../telemetry/index.ts';
import { Pull } from './pull.ts';
import { MOST } from './text.ts';

/** Pulls that are open at once. Beyond them the oldest are closed early, those without a running request first. */
const MAX_OPEN = 2000;
/** Pulls that are closed where there is no room. */
const CLOSED_AT_ONCE = MAX_OPEN / 20;

/**
 * The pulls that may take further requests or have some under way, by who pulls from where. Bounded, whatever clients send.
 *
 * A request by a tag belongs to the open pull of that tag. One by a digest belongs to the newest open pull of that client and
 * repository: nothing in it says which image led to it.
 */
export class OpenPulls implements Iterable<Pull> {
  /** The longest open first. */
  readonly #all = new Set<Pull>();
  /** By who pulls from where: the newest last. */
  readonly #byPlace = new Map<string, Pull[]>();
  /** The newest of each tag. */
  readonly #byTag = new Map<string, Pull>();
  /** What the last request belonged to: most often that of the next one, too. */
  #last: Pull | undefined;
  readonly #close: (pull: Pull) => void;

  /** @param close records a pull that is let go */
  constructor(close: (pull: Pull) => void) {
    this.#close = close;
  }

  [Symbol.iterator](): Iterator<Pull> {
    return this.#all.values();
  }

  /** The pull of a request that begins: an open one, or another. @param now milliseconds since the epoch */
  of(view: PullUnderWay, now: number): Pull {
    const tag = tagOf(view);
    const last = this.#last;
    if (last?.isOf(view) === true && this.#takes(last, { tag, now })) return last;
    const found = this.#find(view, { tag, now });
    this.#last = found ?? this.#begin(view, { tag, now });
    return this.#last;
  }

  /** Lets a pull go, and records it. */
  close(pull: Pull): void {
    if (!this.#all.delete(pull)) return;
    const { place, tag } = pull;
    const beside = this.#byPlace.get(place) ?? [];
    if (beside.length > 1) beside.splice(beside.lastIndexOf(pull), 1);
    else this.#byPlace.delete(place);
    if (tag !== '' && this.#byTag.get(tagKey(place, tag)) === pull) this.#byTag.delete(tagKey(place, tag));
    if (this.#last === pull) this.#last = undefined;
    this.#close(pull);
  }

  #takes(pull: Pull, { tag, now }: { readonly tag: string; readonly now: number }): boolean {
    if (!pull.isOpen(now)) return false;
    if (tag !== '') return pull.tag === tag && !pull.isPulledAgain;
    return this.#byPlace.get(pull.place)?.at(-1) === pull;
  }

  #find(view: PullUnderWay, how: { readonly tag: string; readonly now: number }): Pull | undefined {
    const place = placeOf(view);
    for (;;) {
      const found = how.tag === '' ? this.#byPlace.get(place)?.at(-1) : this.#byTag.get(tagKey(place, how.tag));
      if (found === undefined || this.#takes(found, how)) return found;
      if (found.isOpen(how.now)) return undefined;
      this.close(found);
    }
  }

  #begin(view: PullUnderWay, { tag, now }: { readonly tag: string; readonly now: number }): Pull {
    if (this.#all.size >= MAX_OPEN) this.#makeRoom();
    const place = placeOf(view);
    const pull = new Pull(view, { at: now, place, tag });
    this.#all.add(pull);
    const beside = this.#byPlace.get(place);
    if (beside === undefined) this.#byPlace.set(place, [pull]);
    else beside.push(pull);
    if (tag !== '') this.#byTag.set(tagKey(place, tag), pull);
    return pull;
  }

  #makeRoom(): void {
    const oldest = [...this.#all];
    const idle = oldest.filter((pull) => !pull.isBusy);
    for (const pull of (idle.length > 0 ? idle : oldest).slice(0, CLOSED_AT_ONCE)) this.close(pull);
  }
}

/** Empty for a digest. */
function tagOf({ target }: PullUnderWay): string {
  return target?.kind === 'manifest' && target.reference.kind === 'tag' ? target.reference.tag : '';
}

function placeOf({ client, user = '', registry = '', repository = '', userAgent = '' }: PullUnderWay): string {
  // No part has a line break but the user agent, of which few characters count.
  return `${client}\n${user}\n${registry}\n${repository}\n${userAgent.slice(0, MOST.userAgent)}`;
}

function tagKey(place: string, tag: string): string {
  return `${tag}\n${place}`;
}
