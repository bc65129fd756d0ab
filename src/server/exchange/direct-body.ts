import { setImmediate as turn } from 'node:timers/promises';
import type { BlobReader } from '../../lib/index.ts';
import type { RequestContext } from './context.ts';

/**
 * Bytes that go the ordinary way after each stretch that the kernel sent: Node says when the socket has taken them, and by
 * then it has room for the next stretch. Few, as every slow client has so many of them in memory.
 */
export const PIECE = 4096;

/** Bytes after which the others have a turn even where the socket still has room. */
const TURN = 4 * 1024 * 1024;

/** Bodies up to so many bytes are read: they are gone in one piece. */
const WORTH_IT = 64 * 1024;

/**
 * Pieces behind which nothing could be sent before the next bytes are read like any other body's: one may find no room, and
 * the disk ends some, but where sendfile(2) is refused altogether the whole body must not go a piece at a time.
 */
const REFUSALS = 3;

/**
 * A body whose bytes the kernel sends from their file, so that they are not copied through this process: that is most of what
 * a warm blob costs. What it can not send now, because the disk has to be waited for or nobody knows yet whether the bytes
 * are right, is read and written like any other body.
 */
export class DirectBody {
  readonly #context: RequestContext;
  readonly #reader: BlobReader;
  #piece: Buffer | undefined;
  /** Bytes sent since the others last had their turn. */
  #atOnce = 0;
  /** Pieces in a row behind which nothing was sent. */
  #refusals = 0;

  private constructor(context: RequestContext, reader: BlobReader) {
    this.#context = context;
    this.#reader = reader;
  }

  /** Undefined where a body must pass through this process: in chunks, through TLS, at a limited rate. */
  static of(context: RequestContext, reader: BlobReader, length: number | undefined): DirectBody | undefined {
    if (length === undefined || length <= WORTH_IT || context.pace !== undefined) return undefined;
    return descriptorOf(context) === undefined ? undefined : new DirectBody(context, reader);
  }

  /** The next few bytes, valid until the next call; undefined where they must be waited for. */
  piece(): Buffer | undefined {
    const { direct } = this.#reader;
    if (direct === undefined) return undefined;
    if (this.#refusals >= REFUSALS) {
      this.#refusals = 0;
      return undefined;
    }
    // No view of a larger one: what the socket does not take at once stays in memory, with all that belongs to it.
    this.#piece ??= Buffer.allocUnsafeSlow(PIECE);
    const count = direct.readNow(this.#piece);
    if (count === 0) return undefined;
    return count === PIECE ? this.#piece : this.#piece.subarray(0, count);
  }

  /** Sends what the socket takes, which must have taken all that was written before. @returns bytes it took */
  send(): number {
    // Looked up each time: a descriptor that was closed may be another's by now.
    const socket = descriptorOf(this.#context);
    if (socket === undefined) return 0;
    const count = this.#reader.direct?.sendTo(socket) ?? 0;
    this.#context.bytes += count;
    this.#atOnce += count;
    this.#refusals = count === 0 ? this.#refusals + 1 : 0;
    return count;
  }

  /** To be waited for before more is sent: a client that is as fast as we are would otherwise be the only one. */
  async letOthers(): Promise<void> {
    if (this.#atOnce < TURN) return;
    this.#atOnce = 0;
    await turn();
  }
}

/** The descriptor of a client's socket; undefined where bytes do not go to the wire as they are, or others wait before them. */
function descriptorOf({ response }: RequestContext): number | undefined {
  const { socket } = response;
  if (socket === null || socket.destroyed || socket.writableLength > 0 || 'encrypted' in socket) return undefined;
  // Node has no public name for it; where it has none at all any more, bodies go the ordinary way.
  const descriptor = (socket as { readonly _handle?: { readonly fd?: unknown } | null })._handle?.fd;
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined;
}
