/** One entry of an archive; a directory has no content. */
export interface TarEntry {
  /** Relative, without a leading slash; at most 100 bytes. */
  readonly path: string;
  /** Absent: a directory. */
  readonly content?: Buffer;
  /** @default 0o644, directories 0o755 */
  readonly mode?: number;
}

const BLOCK = 512;

/** An uncompressed archive in the `ustar` format (POSIX.1-1988). The same entries give the same bytes: no clock, no users. */
export function tar(entries: readonly TarEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const entry of entries) {
    const content = entry.content ?? Buffer.alloc(0);
    parts.push(header(entry, content.length), content, Buffer.alloc(padding(content.length)));
  }
  parts.push(Buffer.alloc(2 * BLOCK));
  return Buffer.concat(parts);
}

function header(entry: TarEntry, size: number): Buffer {
  const directory = entry.content === undefined;
  const path = directory ? `${entry.path}/` : entry.path;
  if (Buffer.byteLength(path) > 100) throw new RangeError(`Cannot archive ${path} as a path may have 100 bytes`);
  const block = Buffer.alloc(BLOCK);
  block.write(path, 0);
  octal(block, entry.mode ?? (directory ? 0o755 : 0o644), { at: 100, width: 8 });
  octal(block, 0, { at: 108, width: 8 }); // uid
  octal(block, 0, { at: 116, width: 8 }); // gid
  octal(block, size, { at: 124, width: 12 });
  octal(block, 0, { at: 136, width: 12 }); // mtime
  block.write(directory ? '5' : '0', 156);
  block.write('ustar\u000000', 257);
  // The checksum is computed with its own field filled with spaces.
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

function octal(block: Buffer, value: number, field: { at: number; width: number }): void {
  block.write(`${value.toString(8).padStart(field.width - 1, '0')}\0`, field.at);
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
