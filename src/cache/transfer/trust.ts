import type { OriginBlob } from '../../oci/index.ts';
import { type RepairEnvironment, repairSpans } from './repair.ts';
import { Deliveries, type SourcedSpan } from './segments/index.ts';

/** What of a file was wrong, and is right now. */
export interface Correction {
  /** Names of the upstreams that sent it. */
  readonly liars: string;
  readonly spans: readonly SourcedSpan[];
}

/** Which upstreams brought the bytes of a transfer, and which of them are believed where its digest does not hold. */
export class Trust {
  readonly deliveries = new Deliveries();
  /** Upstreams that gave it wrongly. */
  readonly #refused = new Set<string>();
  #first: OriginBlob | undefined;
  #doubted: number | undefined;
  /** Upstreams that may have delivered wrong bytes besides the most trusted; undefined where that is all of them. */
  #suspects: ReadonlySet<string> | undefined;

  /** The body that the first bytes of the file come from. Its upstream is the one that is trusted most. */
  get first(): OriginBlob | undefined {
    return this.#first;
  }

  /** Name of the upstream that is trusted most; empty before one has answered. */
  get upstream(): string {
    return this.#first?.upstream ?? '';
  }

  /** The first byte that came from another upstream than the one that is trusted most, while that is asked for it again. */
  get doubted(): number | undefined {
    return this.#doubted;
  }

  /** The file begins with the bytes of a body. */
  begins(body: OriginBlob): void {
    this.#first = body;
  }

  /** Nothing is in doubt any more. */
  clear(): void {
    this.#suspects = undefined;
    this.#doubted = undefined;
  }

  /** Forgets who brought what: the bytes are fetched once more. Upstreams that were given up stay so. */
  reset(): void {
    this.#first = undefined;
    this.deliveries.reset();
    this.clear();
  }

  /**
   * Gives up the upstream of a body, or, where the whole is wrong and a mixture, those that were asked besides the most trusted.
   *
   * @param options `isWhole`: all has come, and has another digest; `isMixed`: parts of it may come from others
   * @returns false where no other upstream can be asked instead
   */
  giveUp(source: OriginBlob, { isWhole, isMixed }: { readonly isWhole: boolean; readonly isMixed: boolean }): boolean {
    const first = this.#first ?? source;
    const mixed = isMixed ? this.deliveries.sourcesBesides(first.upstream) : [];
    const others = mixed.filter(({ upstream }) => this.#suspects?.has(upstream) ?? true);
    const wrong = !isWhole ? [source] : others.length > 0 ? others : [first];
    if (wrong.every(({ giveUp }) => giveUp === undefined)) return false;
    for (const { giveUp } of wrong) giveUp?.();
    if (wrong.every(({ upstream }) => this.#refused.has(upstream))) return false;
    for (const { upstream } of wrong) this.#refused.add(upstream);
    return true;
  }

  /**
   * Asks the most trusted upstream for what others delivered, and corrects the file. Those that delivered other bytes are given up for
   * the blob.
   *
   * @returns undefined where the digest does not hold even then
   */
  async repair(file: Omit<RepairEnvironment, 'trusted' | 'deliveries'>): Promise<Correction | undefined> {
    const trusted = this.upstream;
    const spans = this.deliveries.spansBesides(trusted) ?? [];
    const [first] = spans;
    if (first === undefined || this.#refused.has(trusted)) return undefined;
    this.#doubted = first.start;
    const { suspects, wrong, holds } = await repairSpans(spans, { trusted, deliveries: this.deliveries, ...file });
    this.#suspects = suspects;
    if (!holds) return undefined;
    for (const upstream of suspects) this.deliveries.sourceOf(upstream)?.giveUp?.();
    return { liars: [...suspects].join(', '), spans: wrong };
  }
}
