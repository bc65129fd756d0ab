import { type Digester, digestHex } from '../../../oci/index.ts';
import { type Checkpoint, HASH_LENGTH } from './note.ts';

/** Bytes between two checkpoints at least, and how many a blob has at most. */
const LEAST_STEP = 1024 * 1024;
const MOST = 64;

/** A place in a blob, with a digester that has seen everything before it. */
export interface Place {
  readonly position: number;
  readonly digester: Digester;
}

/** Where the front goes back to. */
export interface Rewind extends Place {
  /** What lies from `position` up to here is not what it was, and is fetched again. */
  readonly end: number;
}

/** What the front finds at a checkpoint. `wrong`: what was kept is other content than what comes now. */
export type CheckpointFinding = 'right' | 'wrong' | Rewind;

/**
 * The digests of a blob's first bytes at some positions. Those of a note are compared with what the file still holds, so that a byte
 * that has changed is found, and fetched again, before a client gets it. New ones are made as the front goes on.
 */
export class Checkpoints {
  readonly #step: number;
  /** What the front has passed. */
  #passed: Checkpoint[] = [];
  /** Those of the note that the front has not reached. */
  #ahead: Checkpoint[];
  /** The last one that was found right. */
  #trusted: Place;
  /** The end of a piece that was wrong, and is fetched again. */
  #repairedTo = 0;
  #next: number;

  /** @param digester that has seen nothing */
  constructor(size: number, noted: readonly Checkpoint[], digester: Digester) {
    this.#step = Math.max(LEAST_STEP, Math.ceil(size / MOST));
    this.#ahead = [...noted];
    this.#trusted = { position: 0, digester: digester.copy() };
    this.#next = this.#ahead[0]?.position ?? this.#step;
  }

  /** Where the front has to look next: see {@link reached}. */
  get next(): number {
    return this.#next;
  }

  /** All of them, in order. */
  get all(): readonly Checkpoint[] {
    return [...this.#passed, ...this.#ahead];
  }

  /** The first byte that may not be read yet, as what was kept of it is not compared. */
  get readableTo(): number {
    return this.#ahead.length === 0 ? Number.POSITIVE_INFINITY : Math.max(this.#trusted.position, this.#repairedTo);
  }

  /** The first byte behind what is compared with the note. */
  get comparedTo(): number {
    return this.#ahead.at(-1)?.position ?? 0;
  }

  /** The last place up to which what the file held was right. */
  get trusted(): Place {
    const { position, digester } = this.#trusted;
    return { position, digester: digester.copy() };
  }

  /** Called where the front has come to {@link next}, or has passed it. */
  reached(position: number, digester: Digester): CheckpointFinding {
    const passed = this.#ahead.findIndex((each) => each.position >= position);
    // What was fetched again goes beyond.
    this.#ahead.splice(0, passed < 0 ? this.#ahead.length : passed);
    const hash = hashOf(digester);
    const [noted] = this.#ahead;
    if (noted?.position === position) {
      if (noted.hash !== hash) {
        if (this.#repairedTo === position) {
          this.forget(position);
          return 'wrong';
        }
        this.#repairedTo = position;
        this.#next = position;
        return { ...this.trusted, end: position };
      }
      this.#ahead.shift();
      this.#trusted = { position, digester: digester.copy() };
    }
    this.#passed.push({ position, hash });
    this.#next = this.#ahead[0]?.position ?? position + this.#step;
    return 'right';
  }

  /** Makes one where the front stands, at its end. */
  end(position: number, digester: Digester): void {
    if (this.#ahead.length > 0 || position <= (this.#passed.at(-1)?.position ?? 0)) return;
    this.#passed.push({ position, hash: hashOf(digester) });
  }

  /** Forgets those behind a position, from which the front goes on with what comes now. */
  forget(position: number): void {
    this.#ahead = [];
    this.#passed = this.#passed.filter((each) => each.position <= position);
    this.#next = position + this.#step;
  }
}

function hashOf(digester: Digester): string {
  return digestHex(digester.copy().digest()).slice(0, HASH_LENGTH);
}
