import { randomUUID } from 'node:crypto';
import { type BlobReader, ReaderClosedError } from '../../lib/index.ts';
import { formatContentRange, type RangePart } from '../../oci/index.ts';

/** One part, opened. */
interface OpenedPart {
  readonly reader: BlobReader;
  readonly part: { readonly start: number; readonly end: number } | undefined;
  /** Bytes of the whole, where they are known. */
  readonly size: number | undefined;
}

interface PartsOptions<Opened extends OpenedPart = OpenedPart> {
  /** Two or more. */
  readonly parts: readonly RangePart[];
  /** Bytes of the whole. */
  readonly size: number;
  /** Of the whole. */
  readonly contentType: string;
  /** Opens one part; called for one after the other, as the client takes them. */
  readonly open: (part: RangePart) => Promise<Opened>;
}

/**
 * Several parts of a representation as one body, `multipart/byteranges` (RFC 9110, section 14.6). At any time at most two parts are
 * open: the next one is opened before the last is closed, so that a transfer which both follow is not given up in between.
 */
export class PartsReader implements BlobReader {
  /** Of the answer. */
  readonly contentType: string;
  /** Bytes of the body. */
  readonly length: number;
  readonly #options: PartsOptions;
  readonly #heads: readonly Buffer[];
  readonly #end: Buffer;
  /** What goes out before the next byte of the part: its head, or the end. */
  #text: Buffer;
  #index = 0;
  /** Bytes of the part that have not been read. */
  #left: number;
  #current: BlobReader;
  #isClosed = false;

  /** @param first the first part, opened */
  private constructor(options: PartsOptions, first: BlobReader) {
    const boundary = `entrepot-${randomUUID()}`;
    const { parts, size, contentType } = options;
    this.contentType = `multipart/byteranges; boundary=${boundary}`;
    this.#options = options;
    this.#heads = parts.map((part) =>
      Buffer.from(
        `\r\n--${boundary}\r\ncontent-type: ${contentType}\r\ncontent-range: ${formatContentRange(part, size)}\r\n\r\n`,
      ),
    );
    this.#end = Buffer.from(`\r\n--${boundary}--\r\n`);
    this.length =
      this.#heads.reduce((sum, head) => sum + head.length, this.#end.length) +
      parts.reduce((sum, { start, end }) => sum + end - start + 1, 0);
    this.#text = this.#heads[0] ?? this.#end;
    this.#left = lengthOf(parts[0]);
    this.#current = first;
  }

  /** Opens the first part: until then a failure can still be answered. */
  static async open<Opened extends OpenedPart>(
    options: PartsOptions<Opened>,
  ): Promise<{ readonly reader: PartsReader; readonly first: Opened }> {
    const [part] = options.parts;
    if (part === undefined) throw new TypeError('Cannot answer without a part');
    const first = await openPart(options, part);
    return { reader: new PartsReader(options, first.reader), first };
  }

  async read(target: Buffer): Promise<number> {
    for (;;) {
      if (this.#isClosed) throw new ReaderClosedError();
      if (this.#text.length > 0) {
        const count = this.#text.copy(target);
        this.#text = this.#text.subarray(count);
        return count;
      }
      if (this.#index === this.#options.parts.length) return 0;
      if (this.#left > 0) {
        const count = await this.#current.read(this.#left < target.length ? target.subarray(0, this.#left) : target);
        if (count === 0) throw new Error(`A part ended ${this.#left} bytes too early`);
        this.#left -= count;
        return count;
      }
      await this.#next();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#current.close();
  }

  async #next(): Promise<void> {
    this.#index += 1;
    const part = this.#options.parts[this.#index];
    this.#text = this.#heads[this.#index] ?? this.#end;
    this.#left = lengthOf(part);
    if (part === undefined) return;
    const { reader } = await openPart(this.#options, part);
    this.#current.close();
    this.#current = reader;
    if (this.#isClosed) reader.close();
  }
}

/** Opens a part, and sees to it that it is the one. */
async function openPart<Opened extends OpenedPart>(
  { open, size }: PartsOptions<Opened>,
  part: RangePart,
): Promise<Opened> {
  const answer = await open(part);
  if (answer.part?.start === part.start && answer.part.end === part.end && (answer.size ?? size) === size)
    return answer;
  answer.reader.close();
  throw new Error(`Another part came than bytes ${part.start} to ${part.end} of ${size}`);
}

function lengthOf(part: RangePart | undefined): number {
  return part === undefined ? 0 : part.end - part.start + 1;
}
