import { atOnce, type Pieces } from './pieces.ts';

/** Levels of arrays and objects. Manifests have five, answers of registries and token services three. */
export const MAX_JSON_DEPTH = 64;

/** Members of one object. The largest objects of manifests are annotations, of some dozen members. */
export const MAX_JSON_MEMBERS = 10_000;

/**
 * Colons and commas. A manifest of 10,000 layers, the most that is read, has 50,000; with the four annotations that lazy
 * pulling adds to each, 130,000.
 */
export const MAX_JSON_SEPARATORS = 200_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** JSON of a shape that is costly to read: the message says which bound it exceeds. */
export class JsonBoundError extends Error {
  override readonly name = 'JsonBoundError';
}

/** Bytes that are counted in one piece: a few milliseconds. A manifest of an ordinary image has some ten kilobytes. */
const PIECE_BYTES = 512 * 1024;

/**
 * Parses JSON from outside. Nesting and the numbers of members are counted in the bytes first: a few megabytes of brackets or
 * keys would hold the event loop for most of a second. The size of the bytes is the caller's to bound.
 *
 * @throws {JsonBoundError} where it exceeds {@link MAX_JSON_DEPTH}, {@link MAX_JSON_MEMBERS} or {@link MAX_JSON_SEPARATORS}
 * @throws {SyntaxError} where it is not JSON
 */
export function parseBoundedJson(bytes: Buffer): unknown {
  return atOnce(parseBoundedJsonInPieces(bytes));
}

/** As {@link parseBoundedJson}. The bytes must not change meanwhile. */
export function* parseBoundedJsonInPieces(bytes: Buffer): Pieces<unknown> {
  const count = new Count(bytes);
  while (!count.goOn(PIECE_BYTES)) yield;
  const text = bytes.toString('utf8');
  if (bytes.length > PIECE_BYTES) yield;
  return JSON.parse(text);
}

/** Counts what is costly in JSON. It takes any bytes: what is no JSON is found by the parser, within the same bounds. */
class Count {
  readonly #bytes: Buffer;
  /** Members of the open objects, by level. */
  readonly #members = new Uint32Array(MAX_JSON_DEPTH + 1);
  #at = 0;
  #depth = 0;
  #separators = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Counts about so many bytes more. @returns true where all are counted @throws {JsonBoundError} */
  goOn(length: number): boolean {
    const bytes = this.#bytes;
    const members = this.#members;
    const until = Math.min(bytes.length, this.#at + length);
    let depth = this.#depth;
    let separators = this.#separators;
    let i = this.#at;
    for (; i < until; i++) {
      switch (bytes[i]) {
        case QUOTE:
          i = endOfString(bytes, i + 1);
          break;
        case OPEN_ARRAY:
        case OPEN_OBJECT:
          if (++depth > MAX_JSON_DEPTH)
            throw new JsonBoundError(`it is nested more than ${MAX_JSON_DEPTH} levels deep`);
          members[depth] = 0;
          break;
        case CLOSE_ARRAY:
        case CLOSE_OBJECT:
          // The parser stops at a bracket that closes nothing.
          if (--depth < 0) return true;
          break;
        case COLON: {
          const count = (members[depth] ?? 0) + 1;
          if (count > MAX_JSON_MEMBERS) throw new JsonBoundError(`an object has more than ${MAX_JSON_MEMBERS} members`);
          members[depth] = count;
          separators += 1;
          break;
        }
        case COMMA:
          separators += 1;
          break;
        default:
      }
      if (separators > MAX_JSON_SEPARATORS) {
        throw new JsonBoundError(`it has more than ${MAX_JSON_SEPARATORS} commas and colons`);
      }
    }
    this.#at = i;
    this.#depth = depth;
    this.#separators = separators;
    return i >= bytes.length;
  }
}

/** The index of the quote that ends a string, or of the last byte. */
function endOfString(bytes: Buffer, start: number): number {
  let i = start;
  while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return i;
}
