import type { BodyMeter } from '../telemetry/index.ts';
import type { Pull } from './pull.ts';

/** Milliseconds without a byte after which a body of an upstream is not looked at any more, whatever its meter says. */
const BODY_LOST = 3_600_000;
/** Bodies that are looked at. Beyond them the oldest is let go. */
const MAX_BODIES = 20_000;

/** A body of an upstream that still comes. */
export interface ComingBody {
  readonly meter: BodyMeter;
  readonly names: { readonly registry: string; readonly repository: string };
  readonly isKnown: boolean;
  readonly pull: Pull | undefined;
  /** Bytes of it that the figures have. */
  counted: number;
  /** When a byte was last seen to come. */
  lastAt: number;
}

/** The bodies of upstreams that come, each until its end or its loss. Bounded. */
export class ComingBodies {
  readonly #bodies = new Set<ComingBody>();

  add(body: ComingBody): void {
    for (const oldest of this.#bodies) {
      if (this.#bodies.size < MAX_BODIES) break;
      this.#letGo(oldest);
    }
    this.#bodies.add(body);
    if (body.pull !== undefined) body.pull.bodies += 1;
  }

  /** Counts what has come of each, and lets go of those that are over. @param now milliseconds since the epoch */
  look(now: number, count: (body: ComingBody) => void): void {
    for (const body of this.#bodies) {
      count(body);
      if (body.meter.isOver && body.pull !== undefined) body.pull.lastAt = now;
      if (body.meter.isOver || now - body.lastAt > BODY_LOST) this.#letGo(body);
    }
  }

  clear(): void {
    this.#bodies.clear();
  }

  #letGo(body: ComingBody): void {
    this.#bodies.delete(body);
    if (body.pull === undefined) return;
    body.pull.bodies -= 1;
    body.pull.isChanged = true;
  }
}
