import type { HttpHead } from '../net/index.ts';
import type { UpstreamResponse } from './upstream-request.ts';

/** What a HEAD is about: a manifest or a blob. Gateways and storages treat them differently. */
export type HeadKind = 'check' | 'blob';

/** Milliseconds for which an upstream that refused HEAD is asked by GET at once. */
const REFUSED_FOR_MS = 60 * 60_000;
/** Failures of HEAD that GET confirmed, after which HEAD is believed. */
const ENOUGH_CONFIRMED = 3;

interface Learnt {
  isBelieved: boolean;
  confirmed: number;
  /** Milliseconds since the epoch. */
  refusedAt: number | undefined;
}

/**
 * Whether an upstream answers HEAD as it answers GET, learnt from its answers. Registries and gateways have been seen to answer
 * HEAD with 401, 403, 404 or 500 where GET succeeds (ECR Public among them). Until HEAD is known to work, GET decides.
 */
export class HeadSupport {
  readonly #now: () => number;
  readonly #learnt: Readonly<Record<HeadKind, Learnt>> = { check: nothing(), blob: nothing() };

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** True where HEAD was refused not long ago: GET is sent at once. */
  isRefused(kind: HeadKind): boolean {
    const { refusedAt } = this.#learnt[kind];
    return refusedAt !== undefined && Math.abs(this.#now() - refusedAt) <= REFUSED_FOR_MS;
  }

  /** True where the failure may be about the method and not about the content, so that GET decides. */
  mayRefuse(kind: HeadKind, { reply: { status }, redirected }: UpstreamResponse<HttpHead>): boolean {
    if (status === 405 || status === 501) return true;
    // A storage whose URL was signed for GET alone (S3 then answers 403).
    if (redirected && (status === 400 || status === 401 || status === 403)) return true;
    return !this.#learnt[kind].isBelieved && MAY_BE_THE_METHOD.has(status);
  }

  /** True where an answer has shown whether HEAD works. */
  isKnown(kind: HeadKind): boolean {
    return this.#learnt[kind].isBelieved || this.isRefused(kind);
  }

  /** HEAD found the content. */
  works(kind: HeadKind): void {
    this.#learnt[kind].isBelieved = true;
  }

  /** Asks by GET what HEAD did not tell, and learns from it which of them is right. */
  async askByGet<T>(kind: HeadKind, get: () => Promise<T>): Promise<T> {
    const learnt = this.#learnt[kind];
    try {
      const answer = await get();
      learnt.refusedAt = this.#now();
      return answer;
    } catch (error) {
      learnt.refusedAt = undefined;
      learnt.confirmed += 1;
      learnt.isBelieved ||= learnt.confirmed >= ENOUGH_CONFIRMED;
      throw error;
    }
  }
}

const MAY_BE_THE_METHOD: ReadonlySet<number> = new Set([400, 401, 403, 404, 406, 500]);

function nothing(): Learnt {
  return { isBelieved: false, confirmed: 0, refusedAt: undefined };
}
