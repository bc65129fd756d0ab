import { BundleError } from './error.ts';

/** What everything in a tar archive is counted in. */
export const BLOCK = 512;

/** One entry of an archive. */
export interface TarHeader {
  readonly path: string;
  /** Bytes of its content. */
  readonly size: number;
  /** `other`: a link, a device, or anything that is neither a file nor a directory. */
  readonly kind: 'file' | 'directory' | 'pax' | 'global' | 'long name' | 'other';
}

/** The largest size that the eleven octal digits of a header hold. */
const MAX_OCTAL = 8 ** 11 - 1;
/** Bytes of a path in a header. */
const MAX_PATH = 100;

/**
 * The header of a file: POSIX ustar, with a pax header in front where the path or the size does not fit. Times, owners and modes are
 * always the same, so that the same content makes the same archive.
 *
 * Source: IEEE Std 1003.1-2017, pax, "pax Header Block", "ustar Interchange Format".
 */
export function fileHeader(path: string, size: number): Buffer {
  const records: string[] = [];
  if (Buffer.byteLength(path) > MAX_PATH) records.push(paxRecord('path', path));
  if (size > MAX_OCTAL) records.push(paxRecord('size', String(size)));
  const own = block({ path: Buffer.from(path).subarray(0, MAX_PATH), size: size > MAX_OCTAL ? 0 : size, type: '0' });
  if (records.length === 0) return own;
  const content = Buffer.from(records.join(''));
  const name = Buffer.from(`PaxHeaders/${path}`).subarray(0, MAX_PATH);
  return Buffer.concat([block({ path: name, size: content.length, type: 'x' }), content, padding(content.length), own]);
}

/** What follows a content of some bytes, up to the next block. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** The end of an archive. */
export function endOfArchive(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}

/** `30 mtime=1350244992.023960108\n`: the length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + String(bytes).length;
  if (bytes + String(length).length !== length) length = bytes + String(length).length;
  return `${length}${rest}`;
}

function block({
  path,
  size,
  type,
}: {
  readonly path: Buffer;
  readonly size: number;
  readonly type: '0' | 'x';
}): Buffer {
  const header = Buffer.alloc(BLOCK);
  path.copy(header, 0);
  header.write('0000644\0', 100, 'latin1');
  header.write('0000000\0', 108, 'latin1');
  header.write('0000000\0', 116, 'latin1');
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
  header.write('00000000000\0', 136, 'latin1');
  header.write('        ', 148, 'latin1');
  header.write(type, 156, 'latin1');
  header.write('ustar\u000000', 257, 'latin1');
  header.write(`${checksumOf(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** The sum of all bytes, those of the checksum counted as spaces. */
function checksumOf(header: Buffer): number {
  let sum = 0;
  for (let index = 0; index < BLOCK; index += 1) sum += index >= 148 && index < 156 ? 0x20 : (header[index] ?? 0);
  return sum;
}

const KINDS: Readonly<Record<string, TarHeader['kind']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '5': 'directory',
  x: 'pax',
  g: 'global',
  L: 'long name',
};

/**
 * Reads a header; undefined for a block of zeros, which ends an archive.
 *
 * @throws {BundleError} where it is no header
 */
export function readHeader(header: Buffer): TarHeader | undefined {
  if (header.every((byte) => byte === 0)) return undefined;
  const sum = readNumber(header.subarray(148, 156));
  if (sum !== checksumOf(header))
    throw new BundleError('it is no tar archive, or a damaged one: a header has a wrong checksum; copy it again');
  const isUstar = header.subarray(257, 262).toString('latin1') === 'ustar';
  const prefix = isUstar && header[262] === 0 ? textOf(header.subarray(345, 500)) : '';
  const name = textOf(header.subarray(0, 100));
  return {
    path: prefix === '' ? name : `${prefix}/${name}`,
    size: readNumber(header.subarray(124, 136)),
    kind: KINDS[String.fromCharCode(header[156] ?? 0)] ?? 'other',
  };
}

function textOf(field: Buffer): string {
  const end = field.indexOf(0);
  return field.subarray(0, end === -1 ? field.length : end).toString('utf8');
}

/** Octal digits, or base 256 as GNU tar writes large numbers. */
function readNumber(field: Buffer): number {
  const [first = 0] = field;
  let value = 0;
  if (first === 0x80) {
    for (const byte of field.subarray(1)) value = value * 256 + byte;
  } else {
    const text = textOf(field).trim();
    if (!/^[0-7]*$/.test(text))
      throw new BundleError('it is no tar archive, or a damaged one: a header has no number; copy it again');
    value = text === '' ? 0 : Number.parseInt(text, 8);
  }
  if (!Number.isSafeInteger(value))
    throw new BundleError('it is no tar archive, or a damaged one: a size is too large; copy it again');
  return value;
}

/** The path and the size of a pax header, where it has them. @throws {BundleError} */
export function readPax(content: Buffer): { readonly path?: string; readonly size?: number } {
  const found: { path?: string; size?: number } = {};
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const length = space === -1 ? Number.NaN : Number(content.subarray(at, space).toString('latin1'));
    if (!Number.isSafeInteger(length) || length <= space - at || at + length > content.length) {
      throw new BundleError('it is no tar archive, or a damaged one: a pax header has a wrong length; copy it again');
    }
    const record = content.subarray(space + 1, at + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    const [key, value] = [record.slice(0, equals), record.slice(equals + 1)];
    if (key === 'path') found.path = value;
    if (key === 'size') {
      const size = Number(value);
      if (!/^\d+$/.test(value) || !Number.isSafeInteger(size)) {
        throw new BundleError('it is no tar archive, or a damaged one: a pax header has a wrong size; copy it again');
      }
      found.size = size;
    }
    at += length;
  }
  return found;
}

/** Whether a file that begins so is a tar archive: its first block is a header. */
export function isTar(start: Buffer): boolean {
  if (start.length < BLOCK) return false;
  try {
    return readHeader(start.subarray(0, BLOCK)) !== undefined;
  } catch {
    return false;
  }
}
