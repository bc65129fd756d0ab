/**
 * Splits the first message of a TLS client, the ClientHello, into two TLS records (RFC 8446 §5.1 allows it at any byte).
 *
 * ```
 *  16 03 01 LL LL │ 01 xx xx xx …              one record, as OpenSSL writes it
 *  16 03 01 00 03 │ 01 xx xx                   the first `firstFragmentLen` bytes of the message
 *  16 03 01 MM MM │ xx …                       the rest
 * ```
 *
 * A middlebox that searches the first record, or the first segment, for a server name finds none; a server joins the records
 * anyway. All later bytes pass unchanged, even a second ClientHello (after HelloRetryRequest).
 */

const HEADER_BYTES = 5;
/** ContentType handshake, RFC 8446 §5.1. */
const HANDSHAKE = 22;

/** The longest first fragment. */
const MAX_FIRST_FRAGMENT_LEN = 255;

/** Collects the first record of a connection and returns it as two, however its bytes arrive. */
export class ClientHelloSplitter {
  readonly #firstFragmentLen: number;
  #kept: Buffer = Buffer.alloc(0);
  #done: boolean;

  /** @param firstFragmentLen 0 to {@link MAX_FIRST_FRAGMENT_LEN}; 0 passes every byte unchanged */
  constructor(firstFragmentLen: number) {
    if (!Number.isInteger(firstFragmentLen) || firstFragmentLen < 0 || firstFragmentLen > MAX_FIRST_FRAGMENT_LEN) {
      throw new RangeError(`A first fragment has 0 to ${MAX_FIRST_FRAGMENT_LEN} bytes, found ${firstFragmentLen}`);
    }
    this.#firstFragmentLen = firstFragmentLen;
    this.#done = firstFragmentLen === 0;
  }

  /** True once the first record has passed: later bytes need no splitting. */
  get done(): boolean {
    return this.#done;
  }

  /**
   * Takes bytes for the server and returns the pieces to write now, each by its own write, so that it becomes a TCP segment of
   * its own. It holds back at most one record (64 KiB).
   */
  push(chunk: Buffer): readonly Buffer[] {
    if (this.#done) return [chunk];
    this.#kept = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk]);
    const kept = this.#kept;
    const handshake = kept.length === 0 || kept[0] === HANDSHAKE;
    if (handshake && kept.length < HEADER_BYTES) return [];
    const length = handshake ? kept.readUInt16BE(3) : 0;
    if (handshake && kept.length < HEADER_BYTES + length) return [];
    this.#done = true;
    this.#kept = Buffer.alloc(0);
    // Nothing to split: no handshake, or one that fits into the first record.
    if (length <= this.#firstFragmentLen) return [kept];
    const cut = HEADER_BYTES + this.#firstFragmentLen;
    const first = Buffer.concat([headerOf(kept, this.#firstFragmentLen), kept.subarray(HEADER_BYTES, cut)]);
    const second = headerOf(kept, length - this.#firstFragmentLen);
    return [first, Buffer.concat([second, kept.subarray(cut)])];
  }
}

/** The header of a record of `length` bytes, with the type and version of `record`. */
function headerOf(record: Buffer, length: number): Buffer {
  const header = Buffer.from(record.subarray(0, HEADER_BYTES));
  header.writeUInt16BE(length, 3);
  return header;
}
