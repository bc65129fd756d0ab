import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { OciError } from '../oci/index.ts';

const IV_BYTES = 12;
const TAG_BYTES = 16;
/** The text within is padded to a multiple of it: its length says as little as possible. */
const PADDING = 256;

/**
 * Cursors of lists: the place where a page ended, sealed. A page may end at a name that its reader may not see, so a cursor
 * is read by this object alone, and by none after a restart.
 */
export class Cursors {
  readonly #key = randomBytes(32);

  /** @param list what the cursor is of: it is refused for another list */
  seal(list: string, place: readonly string[]): string {
    const text = Buffer.from(JSON.stringify(place));
    const padded = Buffer.alloc(Math.ceil(text.length / PADDING) * PADDING, ' ');
    text.copy(padded);
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv).setAAD(Buffer.from(list));
    return Buffer.concat([iv, cipher.update(padded), cipher.final(), cipher.getAuthTag()]).toString('base64url');
  }

  /** @throws {OciError} PAGINATION_NUMBER_INVALID for what this object did not seal for this list */
  open(list: string, cursor: string): readonly string[] {
    const bytes = Buffer.from(cursor, 'base64url');
    try {
      const tag = bytes.subarray(-TAG_BYTES);
      if (bytes.length <= IV_BYTES + TAG_BYTES) throw new RangeError('it is too short');
      const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, IV_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(list)).setAuthTag(tag);
      const text = Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()]);
      return JSON.parse(text.toString()) as readonly string[];
    } catch (cause) {
      throw new OciError(
        'PAGINATION_NUMBER_INVALID',
        'this page cannot be continued: `after` is not the `next` of an answer about this list since the server started. Begin with the first page',
        { cause },
      );
    }
  }
}
