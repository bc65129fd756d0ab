/** A tag, and what decides its place among others. */
export interface OrderedTag {
  readonly tag: string;
  /** 0: a version; 1: another name; 2: a name made of a digest, as signatures have it. */
  readonly rank: number;
  readonly numbers: readonly number[];
  /** −1 for a preliminary version, which comes before the version itself; 0: none; 1: a variant, which comes after it. */
  readonly suffixRank: number;
  readonly suffix: readonly (string | number)[];
}

const VERSION = /^v?(\d{1,15}(?:\.\d{1,15}){0,9})(?![\d])(.*)$/s;
const PRELIMINARY = /^[-._]?(?:alpha|beta|rc|pre|preview|dev|snapshot|nightly|canary|a|b)(?![a-z])/i;
const OF_DIGEST = /^sha\d+-[0-9a-f]{32,}/;

/** What decides the place of a tag: versions by their numbers, then names, then names made of digests. */
export function orderOf(tag: string): OrderedTag {
  const version = VERSION.exec(tag);
  if (version === null) {
    return { tag, rank: OF_DIGEST.test(tag) ? 2 : 1, numbers: [], suffixRank: 0, suffix: chunksOf(tag) };
  }
  const [, numbers = '', suffix = ''] = version;
  const suffixRank = suffix === '' ? 0 : PRELIMINARY.test(suffix) ? -1 : 1;
  return { tag, rank: 0, numbers: numbers.split('.').map(Number), suffixRank, suffix: chunksOf(suffix) };
}

/** A total order: `1.9`, `1.10-rc1`, `1.10`, `1.10-alpine`, `1.10.1`, `latest`. */
export function compareTags(a: OrderedTag, b: OrderedTag): number {
  return (
    a.rank - b.rank ||
    compareLists(a.numbers, b.numbers) ||
    a.suffixRank - b.suffixRank ||
    compareLists(a.suffix, b.suffix) ||
    compareValues(a.tag, b.tag)
  );
}

/** `rc10` is `rc` and 10. */
function chunksOf(text: string): readonly (string | number)[] {
  return (text.match(/\d{1,15}|\D+/g) ?? []).map((chunk) => (/^\d/.test(chunk) ? Number(chunk) : chunk));
}

function compareLists(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (const [at, value] of a.entries()) {
    const other = b[at];
    if (other === undefined) return 1;
    const order = compareValues(value, other);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Numbers come before texts. */
function compareValues(a: string | number, b: string | number): number {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** The first of a long list in their order, chosen as the list goes by: only twice as many are in memory. */
export class FirstTags<Entry extends { readonly tag: string }> {
  readonly #limit: number;
  readonly #after: OrderedTag | undefined;
  /** The last of a full list: what comes after it is not kept. */
  #last: OrderedTag | undefined;
  #kept: { readonly order: OrderedTag; readonly entry: Entry }[] = [];

  /** @param after the last tag of the page before */
  constructor({ limit, after }: { readonly limit: number; readonly after: string | undefined }) {
    this.#limit = limit;
    this.#after = after === undefined ? undefined : orderOf(after);
  }

  add(entry: Entry): void {
    const order = orderOf(entry.tag);
    if (this.#after !== undefined && compareTags(order, this.#after) <= 0) return;
    if (this.#last !== undefined && compareTags(order, this.#last) > 0) return;
    this.#kept.push({ order, entry });
    if (this.#kept.length >= 2 * this.#limit) this.#cut();
  }

  list(): readonly Entry[] {
    this.#cut();
    return this.#kept.map(({ entry }) => entry);
  }

  #cut(): void {
    this.#kept = this.#kept.toSorted((a, b) => compareTags(a.order, b.order)).slice(0, this.#limit);
    if (this.#kept.length === this.#limit) this.#last = this.#kept.at(-1)?.order;
  }
}
