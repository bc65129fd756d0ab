/**
 * The part of DER (X.690) that certificates need: definite lengths, tags of one byte. Everything here is pure.
 */

/** One element: views of the bytes it was read from. */
export interface DerElement {
  readonly tag: number;
  /** The element itself, header included. */
  readonly whole: Buffer;
  /** The bytes behind the header. */
  readonly content: Buffer;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** An element with any tag around its contents. */
export function element(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...lengthBytes(content.length)]), content]);
}

export function sequence(...items: readonly Buffer[]): Buffer {
  return element(TAG.sequence, ...items);
}

/** A context-specific tag around other elements: `[0] EXPLICIT`. */
export function explicit(number: number, ...items: readonly Buffer[]): Buffer {
  return element(0xa0 | number, ...items);
}

/** A context-specific tag in place of a simple type's own: `[0] IMPLICIT`. */
export function implicit(number: number, content: Buffer): Buffer {
  return element(0x80 | number, content);
}

/** An INTEGER that is not negative, from its bytes in network order. */
export function unsigned(bytes: Buffer): Buffer {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const magnitude = bytes.subarray(from);
  const isNegative = ((magnitude[0] ?? 0) & 0x80) !== 0;
  return element(TAG.integer, isNegative ? Buffer.concat([Buffer.from([0]), magnitude]) : magnitude);
}

export function boolean(value: boolean): Buffer {
  return element(TAG.boolean, Buffer.from([value ? 0xff : 0]));
}

/** `1.2.840.10045.4.3.2` */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return element(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

export function utf8(text: string): Buffer {
  return element(TAG.utf8String, Buffer.from(text, 'utf8'));
}

export function octets(content: Buffer): Buffer {
  return element(TAG.octetString, content);
}

/** @param unusedBits number of low bits of the last byte that do not count */
export function bits(content: Buffer, unusedBits = 0): Buffer {
  return element(TAG.bitString, Buffer.from([unusedBits]), content);
}

/** A time to the second. Years up to 2049 have two digits (RFC 5280 §4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = date
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  return date.getUTCFullYear() < 2050
    ? element(TAG.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : element(TAG.generalizedTime, Buffer.from(digits, 'latin1'));
}

/** Reads one element. @throws {RangeError} where it is incomplete, not DER, or of a form that certificates do not use */
export function readElement(bytes: Buffer): DerElement {
  const tag = bytes[0];
  const first = bytes[1];
  if (tag === undefined || first === undefined) throw new RangeError('a DER element has at least two bytes');
  if ((tag & 0x1f) === 0x1f) throw new RangeError('a DER tag of more than one byte has no place in a certificate');
  const lengthSize = first < 0x80 ? 0 : first & 0x7f;
  if (first === 0x80 || lengthSize > 4 || bytes.length < 2 + lengthSize) {
    throw new RangeError('a DER length must be definite and whole');
  }
  const length = lengthSize === 0 ? first : bytes.readUIntBE(2, lengthSize);
  const start = 2 + lengthSize;
  if (bytes.length < start + length) throw new RangeError('a DER element is cut short');
  return { tag, whole: bytes.subarray(0, start + length), content: bytes.subarray(start, start + length) };
}

/** The elements inside one, in order. @throws {RangeError} as {@link readElement} */
export function elementsIn({ content }: Pick<DerElement, 'content'>): readonly DerElement[] {
  const found: DerElement[] = [];
  for (let rest = content; rest.length > 0; ) {
    const next = readElement(rest);
    found.push(next);
    rest = rest.subarray(next.whole.length);
  }
  return found;
}

function lengthBytes(length: number): readonly number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

function base128(value: number): readonly number[] {
  const groups = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) groups.unshift(0x80 | (rest & 0x7f));
  return groups;
}
