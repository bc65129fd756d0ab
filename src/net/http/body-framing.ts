import { protocolError } from '../error.ts';
import { type BodyShape, parseFieldLine } from '../head/index.ts';

/**
 * Removes the framing of HTTP/1.1 from the bytes of a body, in place, however they are divided. Payload is moved to the front of
 * its chunk, so unframed bytes are not copied, and nothing is allocated but the text of extensions and trailers.
 */
export interface BodyFraming {
  /**
   * Takes the first `count` bytes of `piece` and returns the number of payload bytes now at its front.
   *
   * Throws HttpError `protocol` for malformed framing. Not to be called once `done`.
   */
  accept(piece: Buffer, count: number): number;
  /** True after the last byte of the body. */
  readonly done: boolean;
  /** True where bytes followed the end: the connection must not be reused, since they could pass for the next response. */
  readonly surplus: boolean;
}

/** The framing of a body; `until-close` is never done: it ends with the connection. */
export function framingFor(shape: BodyShape): BodyFraming {
  if (shape.kind === 'chunked') return new ChunkedFraming();
  return new LengthFraming(shape.kind === 'length' ? shape.length : Number.POSITIVE_INFINITY);
}

class LengthFraming implements BodyFraming {
  #left: number;
  surplus = false;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  accept(_piece: Buffer, count: number): number {
    const payload = Math.min(count, this.#left);
    this.#left -= payload;
    this.surplus = payload < count;
    return payload;
  }
}

/** Bytes of the extensions of one chunk, which are ignored (CVE-2024-22019 was the lack of a limit). */
export const MAX_CHUNK_LINE = 4 * 1024;
/** Bytes of all trailers, which are ignored too. */
export const MAX_TRAILERS = 8 * 1024;
/** 13 hexadecimal digits: at most 2^52, an exact integer. */
const MAX_SIZE_DIGITS = 13;

const CR = 0x0d;
const LF = 0x0a;
const TAB = 0x09;
const SPACE = 0x20;
const SEMICOLON = 0x3b;
const DEL = 0x7f;

/** Chunk extensions (RFC 9112 §7.1.1) without the white space that senders must not generate, and that Node refuses. */
const EXTENSIONS =
  /^(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)+$/;
/** Fields that frame a message have no meaning behind it (RFC 9110 §6.5.1). */
const FRAMING_FIELD = /^(?:content-length|transfer-encoding)$/i;

/**
 * ```
 * size ──digits──▶ size ──;──▶ extension ──CR──▶ size-lf ──LF, size>0──▶ data ──▶ data-cr ──▶ data-lf ──▶ size
 *                                                   └─LF, size=0─▶ trailer ⇄ trailer-line ─▶ end-lf ─▶ done
 * ```
 */
type ChunkState =
  | 'size'
  | 'extension'
  | 'size-lf'
  | 'data'
  | 'data-cr'
  | 'data-lf'
  | 'trailer'
  | 'trailer-line'
  | 'trailer-lf'
  | 'end-lf'
  | 'done';

/** RFC 9112 §7.1. */
class ChunkedFraming implements BodyFraming {
  #state: ChunkState = 'size';
  #left = 0;
  #digits = 0;
  /** The text of the extensions, or of the trailer, on the line at hand. */
  #line = '';
  #trailers = 0;
  surplus = false;

  get done(): boolean {
    return this.#state === 'done';
  }

  accept(piece: Buffer, count: number): number {
    let from = 0;
    let to = 0;
    while (from < count) {
      if (this.#state === 'data') {
        const length = Math.min(this.#left, count - from);
        if (from !== to) piece.copyWithin(to, from, from + length);
        from += length;
        to += length;
        this.#left -= length;
        if (this.#left === 0) this.#state = 'data-cr';
      } else if (this.#state === 'done') {
        this.surplus = true;
        return to;
      } else {
        this.#step(piece[from++] ?? 0);
      }
    }
    return to;
  }

  /** One byte of framing. */
  #step(byte: number): void {
    switch (this.#state) {
      case 'size':
        return this.#size(byte);
      case 'extension':
        return this.#extension(byte);
      case 'size-lf':
        this.#expect(byte, LF, this.#left === 0 ? 'trailer' : 'data');
        this.#line = '';
        return;
      case 'data-cr':
        this.#expect(byte, CR, 'data-lf');
        return;
      case 'data-lf':
        this.#expect(byte, LF, 'size');
        this.#digits = 0;
        return;
      case 'trailer':
        this.#state = byte === CR ? 'end-lf' : 'trailer-line';
        if (byte !== CR) this.#trailer(byte);
        return;
      case 'trailer-line':
        if (byte === CR) this.#endTrailer();
        else this.#trailer(byte);
        return;
      case 'trailer-lf':
        this.#expect(byte, LF, 'trailer');
        return;
      case 'end-lf':
        this.#expect(byte, LF, 'done');
        return;
      case 'data':
      case 'done':
        return;
    }
  }

  #size(byte: number): void {
    const digit = hexDigit(byte);
    if (digit !== -1) {
      if (++this.#digits > MAX_SIZE_DIGITS) throw protocolError('a chunk size that is too large');
      this.#left = this.#left * 16 + digit;
      return;
    }
    if (this.#digits === 0) throw protocolError('a chunk without a size');
    if (byte === CR) this.#state = 'size-lf';
    else if (byte === SEMICOLON) this.#extension(byte);
    else throw protocolError('a chunk size that is not hexadecimal');
  }

  #extension(byte: number): void {
    this.#state = 'extension';
    if (byte === CR) {
      if (!EXTENSIONS.test(this.#line)) throw protocolError('a malformed chunk extension');
      this.#state = 'size-lf';
      return;
    }
    if (isControl(byte)) throw protocolError('a control character in a chunk extension');
    // The semicolon before it is not counted.
    if (this.#line.length > MAX_CHUNK_LINE)
      throw protocolError(`a chunk extension longer than ${MAX_CHUNK_LINE} bytes`);
    this.#line += String.fromCharCode(byte);
  }

  #endTrailer(): void {
    const [name] = parseFieldLine(this.#line, 'a trailer');
    if (FRAMING_FIELD.test(name)) throw protocolError(`${name} among the trailers`);
    this.#line = '';
    this.#state = 'trailer-lf';
  }

  #trailer(byte: number): void {
    if (isControl(byte)) throw protocolError('a control character in a trailer');
    if (++this.#trailers > MAX_TRAILERS) throw protocolError(`trailers larger than ${MAX_TRAILERS} bytes`);
    this.#line += String.fromCharCode(byte);
  }

  #expect(byte: number, wanted: number, next: ChunkState): void {
    if (byte !== wanted) throw protocolError('a chunk or line that does not end in CR LF');
    this.#state = next;
  }
}

function isControl(byte: number): boolean {
  return (byte < SPACE && byte !== TAB) || byte === DEL;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
