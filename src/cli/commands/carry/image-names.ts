import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { type ImageList, type ListedText, MAX_TEXT_BYTES, readImageLists } from '../../../image-lists/index.ts';
import { UsageError } from '../../errors.ts';
import { count } from '../../format.ts';
import type { Output } from '../../output.ts';

/** The options of a command that takes images by their names and out of files. */
export interface ImageOptions {
  readonly images: readonly string[];
  /** Files that name images; `-` is standard input. */
  readonly from?: readonly string[];
}

/** Where files are looked for; a test gives its own. */
export interface FilePlaces {
  /** @default that of the process */
  readonly stdin?: Readable;
  /** @default that of the process */
  readonly cwd?: string;
}

const MAX_FILES = 1000;
/** Bytes of all files. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Notes that are shown. */
const MAX_SHOWN = 50;

/** A file that cannot be read. */
export class ListFileError extends Error {
  override readonly name = 'ListFileError';
}

/**
 * The images that a command names, each once: those of its arguments, then those of its files.
 *
 * @throws {UsageError} where there is none; {ListFileError}; {ImageListError}
 */
export async function readImageNames(
  { images, from = [] }: ImageOptions,
  output: Output,
  { stdin = process.stdin, cwd = process.cwd() }: FilePlaces = {},
): Promise<readonly string[]> {
  if (from.length > MAX_FILES) throw new UsageError(`found ${from.length} files, and at most ${MAX_FILES} are read`);
  if (from.filter((file) => file === '-').length > 1) {
    throw new UsageError('found --from - a second time, and standard input can be read once');
  }
  const texts: ListedText[] = [];
  let bytes = 0;
  for (const file of from) {
    const read = await readText(file, { stdin, cwd });
    bytes += read.text.length;
    if (bytes > MAX_BYTES) throw new ListFileError(`the files have more than ${MAX_BYTES / 1024 / 1024} MiB together`);
    texts.push(read);
  }
  const { images: found, notes } = readImageLists(texts);
  showNotes(notes, output);
  const names = [...new Set([...images, ...found.map(({ image }) => image)])];
  if (names.length > 0) return names;
  throw new UsageError(from.length === 0 ? 'expected an image, or a file with --from' : 'the files name no image');
}

function showNotes(notes: ImageList['notes'], output: Output): void {
  for (const { file, line, message } of notes.slice(0, MAX_SHOWN)) {
    output.err(`${file}:${line}: left out: ${message}\n`);
  }
  if (notes.length > MAX_SHOWN) output.err(`and ${count(notes.length - MAX_SHOWN, 'other')} left out\n`);
}

async function readText(file: string, { stdin, cwd }: Required<FilePlaces>): Promise<ListedText> {
  if (file === '-') return { name: 'standard input', text: await readBounded(stdin, 'standard input') };
  // No escape sequence of a file's name reaches the terminal.
  const name = file.replace(/\p{C}/gu, '?');
  try {
    const handle = await open(resolve(cwd, file));
    try {
      // A stream instead of readFile: the bound holds for pipes and devices too.
      return { name, text: await readBounded(handle.createReadStream({ end: MAX_TEXT_BYTES }), name) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof ListFileError) throw error;
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw new ListFileError(`${name}: ${REASONS[code] ?? `it cannot be read (${code})`}`, { cause: error });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'found a directory, expected a file',
};

async function readBounded(stream: Readable, name: string): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk as Buffer);
    size += bytes.length;
    if (size > MAX_TEXT_BYTES) {
      throw new ListFileError(
        `${name}: found more than ${MAX_TEXT_BYTES / 1024 / 1024} MiB, expected a list of images`,
      );
    }
    chunks.push(bytes);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch (cause) {
    throw new ListFileError(`${name}: it is not UTF-8, expected a text`, { cause });
  }
}
