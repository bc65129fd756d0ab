import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { BlobReader } from '../../lib/index.ts';
import type { RequestContext } from './context.ts';

/**
 * Bytes that are written through Node between two stretches of sendfile: Node reports when the socket has taken them, and
 * then it has room for the next stretch. Few, because each slow client keeps them in memory.
 */
export const PIECE = 4096;

/** Bytes after which other bodies get a turn, though the socket still has room. */
const MAX_AT_ONCE = 4 * 1024 * 1024;

/** Bytes up to which a body is read: it goes out in one piece. */
const MIN_LENGTH = 64 * 1024;

/**
 * Pieces in a row without a byte sent by sendfile(2), after which a larger stretch is read like any other body's. One piece
 * may meet a full socket or a slow disk; but where the call is refused altogether, the body must not go 4 KiB at a time.
 */
const REFUSALS = 3;

/**
 * A body that the kernel sends from its file (sendfile), so that its bytes are not copied through this process: the copy is
 * most of the cost of a warm blob. Bytes that cannot be sent now, because the disk is slow or they are not verified yet, are
 * read and written like any other body's.
 */
export class DirectBody {
  readonly #context: RequestContext;
  readonly #reader: BlobReader;
  #piece: Buffer | undefined;
  /** Bytes sent since other bodies last had a turn. */
  #atOnce = 0;
  /** Pieces in a row without a byte sent by the kernel. */
  #refusals = 0;
  #isJoining = false;

  private constructor(context: RequestContext, reader: BlobReader) {
    this.#context = context;
    this.#reader = reader;
  }

  /** Undefined where a body must pass through this process: in chunks, through TLS, at a limited rate. */
  static of(context: RequestContext, reader: BlobReader, length: number | undefined): DirectBody | undefined {
    if (length === undefined || length <= MIN_LENGTH || context.throttle !== undefined) return undefined;
    return descriptorOf(context) === undefined ? undefined : new DirectBody(context, reader);
  }

  /**
   * Whether the kernel may hold back a piece until more follows (Nagle's algorithm): a piece and the stretch behind it then share
   * packets, which spares a packet of 4 KiB for each stretch. Off before anything that nothing follows at once.
   */
  join(isOn: boolean): void {
    if (this.#isJoining === isOn) return;
    this.#isJoining = isOn;
    this.#context.response.socket?.setNoDelay(!isOn);
  }

  /** The next few bytes, valid until the next call; undefined where they are not at hand. */
  piece(): Buffer | undefined {
    const { direct } = this.#reader;
    if (direct === undefined) return undefined;
    if (this.#refusals >= REFUSALS) {
      this.#refusals = 0;
      return undefined;
    }
    // A buffer of its own, no view of the pool: bytes that the socket does not take at once keep the whole buffer alive.
    this.#piece ??= Buffer.allocUnsafeSlow(PIECE);
    const count = direct.readNow(this.#piece);
    if (count === 0) return undefined;
    return count === PIECE ? this.#piece : this.#piece.subarray(0, count);
  }

  /** Sends as much as the socket takes; it must have taken all earlier writes. @returns bytes it took */
  send(): number {
    // Looked up each time: a closed descriptor may belong to another file by now.
    const socket = descriptorOf(this.#context);
    if (socket === undefined) return 0;
    const count = this.#reader.direct?.sendTo(socket) ?? 0;
    this.#context.bytes += count;
    this.#atOnce += count;
    this.#refusals = count === 0 ? this.#refusals + 1 : 0;
    return count;
  }

  /** Waits where other bodies are due: a client as fast as this server would otherwise be the only one served. */
  async letOthers(): Promise<void> {
    if (this.#atOnce < MAX_AT_ONCE) return;
    this.#atOnce = 0;
    await yieldToOthers();
  }
}

/** The descriptor of a client's socket; undefined where bytes are encrypted on the way, or earlier ones still wait. */
function descriptorOf({ response }: RequestContext): number | undefined {
  const { socket } = response;
  if (socket === null || socket.destroyed || socket.writableLength > 0 || 'encrypted' in socket) return undefined;
  // Node has no public API for it. Should the private one go, bodies are read and written.
  const descriptor = (socket as { readonly _handle?: { readonly fd?: unknown } | null })._handle?.fd;
  return typeof descriptor === 'number' && descriptor >= 0 ? descriptor : undefined;
}
