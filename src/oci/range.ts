/**
 * The requested bytes.
 *
 * `whole`: answer 200. `part`: both ends inclusive; `end` is undefined only for "to the end" of an unknown size.
 * `unsatisfiable`: answer 416.
 */
export type RangeRequest =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly start: number; readonly end: number | undefined }
  | { readonly kind: 'unsatisfiable' };

/** The range of a 206; both ends inclusive. `total` is undefined where the sender does not know it (`*`). */
export interface ContentRange {
  readonly start: number;
  readonly end: number;
  readonly total: number | undefined;
}

const WHOLE: RangeRequest = { kind: 'whole' };
const UNSATISFIABLE: RangeRequest = { kind: 'unsatisfiable' };

const ONE_RANGE = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i;
const CONTENT_RANGE = /^bytes (\d{1,16})-(\d{1,16})\/(\d{1,16}|\*)$/i;

/**
 * Reads a `Range` header for a body of `size` bytes (RFC 9110, section 14.2).
 *
 * A range that ends before it begins is unsatisfiable. A header that is malformed, of another unit or of several ranges means
 * the whole body, since a server may always ignore Range; {@link parseRanges} reads several. A range of an empty body is
 * ignored too, as no 206 can hold zero bytes.
 *
 * @param size undefined: not known yet; then only ranges counted from the start are honoured
 */
export function parseRange(header: string | undefined, size: number | undefined): RangeRequest {
  const match = header === undefined ? null : ONE_RANGE.exec(header);
  if (match === null) return WHOLE;
  const [, first = '', last = ''] = match;
  if (first === '') return last === '' ? WHOLE : suffixOf(position(last), size);
  const start = position(first);
  const end = last === '' ? undefined : position(last);
  // RFC 9110 calls it invalid, to be ignored; the conformance suite expects 416, and so do registries answer.
  if (end !== undefined && end < start) return UNSATISFIABLE;
  if (size === 0 && start === 0) return WHOLE;
  if (start >= (size ?? Number.MAX_SAFE_INTEGER)) return UNSATISFIABLE;
  if (size !== undefined) return { kind: 'part', start, end: Math.min(end ?? size - 1, size - 1) };
  return { kind: 'part', start, end: end === Number.MAX_SAFE_INTEGER ? undefined : end };
}

/**
 * Ranges of one request: with more, the whole is answered (RFC 9110, section 17.15). As many as Apache takes: a lazy puller that
 * asks for many chunks at once would otherwise be sent all of a large layer.
 */
const MAX_RANGES = 200;
/** Bytes between two ranges that cost no more than the head of another part. */
const WORTH_BRIDGING = 80;

/** Both ends inclusive. */
export interface RangePart {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads a `Range` header of several ranges for a body of `size` bytes (RFC 9110, sections 14.2 and 15.3.7.2).
 *
 * Ranges behind the end of the body are left out. Those that overlap, or nearly touch, become one, and then all are in
 * ascending order; otherwise they stay in the order of the header. Their sum never exceeds the body.
 *
 * @returns empty: answer 416; undefined: the header has one range, is malformed, or asks for more than 200
 */
export function parseRanges(header: string | undefined, size: number): readonly RangePart[] | undefined {
  const list = /^bytes=(.*)$/is.exec(header ?? '')?.[1];
  if (list === undefined || !list.includes(',')) return undefined;
  const parts: RangePart[] = [];
  // An empty element of a list is ignored (RFC 9110, section 5.6.1.2).
  const specs = list.split(',', 4 * MAX_RANGES).filter((spec) => spec.trim() !== '');
  if (specs.length === 0 || specs.length > MAX_RANGES) return undefined;
  for (const spec of specs) {
    const [, first, last] = /^\s*(\d+)-(\d+)\s*$/.exec(spec) ?? [];
    // One invalid range makes the whole header invalid (RFC 9110, section 14.1.1).
    if (first !== undefined && Number(last) < Number(first)) return undefined;
    const range = parseRange(`bytes=${spec}`, size);
    if (range.kind === 'whole') return undefined;
    if (range.kind === 'part') parts.push({ start: range.start, end: range.end ?? size - 1 });
  }
  const merged = merge(parts);
  return merged.length === parts.length ? parts : merged;
}

function merge(parts: readonly RangePart[]): readonly RangePart[] {
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of [...parts].sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last === undefined || start > last.end + 1 + WORTH_BRIDGING) merged.push({ start, end });
    else last.end = Math.max(last.end, end);
  }
  return merged;
}

/** The `Content-Range` of a 206: `bytes 0-9/100`, or `bytes 0-9/*` where the size is not known. */
export function formatContentRange(part: { readonly start: number; readonly end: number }, size?: number): string {
  return `bytes ${part.start}-${part.end}/${size ?? '*'}`;
}

/** Reads the `Content-Range` of a 206; undefined where it is missing, malformed or contradicts itself. */
export function parseContentRange(header: string | undefined): ContentRange | undefined {
  const match = header === undefined ? null : CONTENT_RANGE.exec(header);
  if (match === null) return undefined;
  const start = Number(match[1]);
  const end = Number(match[2]);
  const total = match[3] === '*' ? undefined : Number(match[3]);
  if (end < start || end >= (total ?? Number.MAX_SAFE_INTEGER)) return undefined;
  return total !== undefined && !Number.isSafeInteger(total) ? undefined : { start, end, total };
}

function suffixOf(length: number, size: number | undefined): RangeRequest {
  if (length === 0) return UNSATISFIABLE;
  if (size === undefined || size === 0) return WHOLE;
  return { kind: 'part', start: Math.max(0, size - length), end: size - 1 };
}

/** Clamps a position, so that a huge one stays comparable. */
function position(digits: string): number {
  return Math.min(Number(digits), Number.MAX_SAFE_INTEGER);
}
