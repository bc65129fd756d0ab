import { createHash, type Hash } from 'node:crypto';

/**
 * A content digest whose form has been checked: `sha256:<64 hex>` or `sha512:<128 hex>`, lower case.
 *
 * Only {@link parseDigest} and {@link digestOf} make one, so a file path built from it cannot leave its directory.
 * Source: OCI image-spec, descriptor.md#digests.
 */
export type Digest = string & { readonly __digest: true };

/** The algorithms that the specification registers. */
export type DigestAlgorithm = 'sha256' | 'sha512';

const DIGEST = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;

/** Returns the digest, or undefined where the text is not a well-formed digest of a known algorithm. */
export function parseDigest(text: string): Digest | undefined {
  return DIGEST.test(text) ? (text as Digest) : undefined;
}

/** The part before the colon. */
export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512') ? 'sha512' : 'sha256';
}

/** The part after the colon: 64 or 128 lower-case hexadecimal characters. */
export function digestHex(digest: Digest): string {
  return digest.slice(7);
}

/** The digest of bytes that are all in memory. */
export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;
}

/** Hashes a body chunk by chunk. */
export class Digester {
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: Hash;

  /** @param hash that has seen bytes already. @default one that has seen none */
  constructor(algorithm: DigestAlgorithm, hash: Hash = createHash(algorithm)) {
    this.#algorithm = algorithm;
    this.#hash = hash;
  }

  /** One that has seen the same bytes, and goes on by itself. Not after `digest`. */
  copy(): Digester {
    return new Digester(this.#algorithm, this.#hash.copy());
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Ends the computation; call once. */
  digest(): Digest {
    return `${this.#algorithm}:${this.#hash.digest('hex')}` as Digest;
  }
}
