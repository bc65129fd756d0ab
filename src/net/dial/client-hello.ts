/**
 * Cuts the first message of a TLS client, the ClientHello, into two TLS records (RFC 8446 §5.1 allows it at any byte).
 *
 * ```
 *  16 03 01 LL LL │ 01 xx xx xx …              one record, as OpenSSL makes it
 *  16 03 01 00 03 │ 01 xx xx                   the first `firstFragmentLen` bytes of the message
 *  16 03 01 MM MM │ xx …                       and all the rest
 * ```
 *
 * A middlebox that looks for a server name in the first record, or the first segment, finds none; a server puts the two
 * together without noticing. Everything after it passes as it is, a second ClientHello (after HelloRetryRequest) too.
 */

const HEADER_BYTES = 5;
/** ContentType handshake, RFC 8446 §5.1. */
const HANDSHAKE = 22;

/** The longest first fragment that can be asked for; 0 asks for none. */
export const MAX_FIRST_FRAGMENT_LEN = 255;

/** Collects the record a connection begins with and gives it back in two, whatever pieces it came in. */
export class ClientHelloSplitter {
  readonly #firstFragmentLen: number;
  #kept: Buffer = Buffer.alloc(0);
  #done: boolean;

  /** @param firstFragmentLen 0 to {@link MAX_FIRST_FRAGMENT_LEN}; 0 passes everything as it is */
  constructor(firstFragmentLen: number) {
    if (!Number.isInteger(firstFragmentLen) || firstFragmentLen < 0 || firstFragmentLen > MAX_FIRST_FRAGMENT_LEN) {
      throw new RangeError(`A first fragment has 0 to ${MAX_FIRST_FRAGMENT_LEN} bytes, found ${firstFragmentLen}`);
    }
    this.#firstFragmentLen = firstFragmentLen;
    this.#done = firstFragmentLen === 0;
  }

  /** The record was seen: what follows needs no splitting. */
  get done(): boolean {
    return this.#done;
  }

  /**
   * Takes bytes on their way to the server, and says what is to be written now, each piece for itself so that it becomes a
   * segment of its own. At most one record (64 KiB) is held back.
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
    // Nothing to cut: no handshake, or one that the first record would hold whole.
    if (length <= this.#firstFragmentLen) return [kept];
    const cut = HEADER_BYTES + this.#firstFragmentLen;
    const first = Buffer.concat([headerOf(kept, this.#firstFragmentLen), kept.subarray(HEADER_BYTES, cut)]);
    const second = headerOf(kept, length - this.#firstFragmentLen);
    return [first, Buffer.concat([second, kept.subarray(cut)])];
  }
}

/** The header of a record of `length` bytes, of the type and version of the one given. */
function headerOf(record: Buffer, length: number): Buffer {
  const header = Buffer.from(record.subarray(0, HEADER_BYTES));
  header.writeUInt16BE(length, 3);
  return header;
}
