import { randomUUID } from 'node:crypto';
import type { Digest } from '../oci/index.ts';

interface DeletionPauseOptions {
  /** Milliseconds until a pause ends that is not renewed. @default 60_000 */
  readonly lease?: number | undefined;
  /** Milliseconds that a pause can last, renewed or not. @default 86_400_000 (a day) */
  readonly limit?: number | undefined;
}

/** A process that copies files renews its pause more often than this; one that was killed does not. */
const LEASE = 60_000;
const LIMIT = 24 * 3600 * 1000;

/** Digests that are remembered for the end of a pause; the daily look for files without a record finds the others. */
const MAX_WAITING = 200_000;

/**
 * A pause in which no file of hosted content is deleted, so that a backup can copy every file that the records named at its start. Pushes and
 * deletions go on: the file of what is deleted meanwhile goes when the pause ends.
 *
 * It ends by itself where its owner does not renew it, and after its limit in any case.
 */
export class DeletionPause {
  readonly #lease: number;
  readonly #limit: number;
  #owner: { readonly id: string; readonly endsBy: number } | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #waiting = new Set<Digest>();
  #onEnd: (waiting: readonly Digest[]) => Promise<void> = () => Promise.resolve();

  constructor({ lease = LEASE, limit = LIMIT }: DeletionPauseOptions = {}) {
    this.#lease = lease;
    this.#limit = limit;
  }

  get isOn(): boolean {
    return this.#owner !== undefined;
  }

  /** Milliseconds within which a pause has to be renewed. */
  get lease(): number {
    return this.#lease;
  }

  /** Who deletes what had to wait. It never rejects. */
  onEnd(work: (waiting: readonly Digest[]) => Promise<void>): void {
    this.#onEnd = work;
  }

  /** Begins a pause, and gives its name; undefined where there is one. */
  begin(): string | undefined {
    if (this.#owner !== undefined) return undefined;
    const id = randomUUID();
    this.#owner = { id, endsBy: performance.now() + this.#limit };
    this.#schedule(id);
    return id;
  }

  /** Whether the pause goes on; false where it has ended. */
  renew(id: string): boolean {
    if (this.#owner?.id !== id) return false;
    this.#schedule(id);
    return true;
  }

  /** Ends a pause; resolves when what had to wait is deleted. False where it had ended before. */
  async end(id: string): Promise<boolean> {
    if (this.#owner?.id !== id) return false;
    clearTimeout(this.#timer);
    this.#owner = undefined;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    await this.#onEnd(waiting);
    return true;
  }

  /** Whether the file of a digest has to wait. It is looked at again when the pause ends. */
  holds(digest: Digest): boolean {
    if (this.#owner === undefined) return false;
    if (this.#waiting.size < MAX_WAITING) this.#waiting.add(digest);
    return true;
  }

  /** Ends any pause, without deleting what waits: the server stops. */
  close(): void {
    clearTimeout(this.#timer);
    this.#owner = undefined;
    this.#waiting.clear();
  }

  #schedule(id: string): void {
    const left = (this.#owner?.endsBy ?? 0) - performance.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.end(id), Math.max(0, Math.min(this.#lease, left)));
    this.#timer.unref();
  }
}
