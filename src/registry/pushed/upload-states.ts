import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { DigestAlgorithm, Repository, UploadPlace } from '../../oci/index.ts';

/** An upload at an upstream, as its client carries it. */
export interface UploadState {
  /** Names it within this process. */
  readonly id: string;
  /** The last part of its path, which clients see. */
  readonly segment: string;
  readonly repository: Repository;
  /** The name of the principal that began it. */
  readonly principal: string;
  /** The name of the upstream. */
  readonly upstream: string;
  readonly place: UploadPlace;
  /** That the client has announced, for its digest. */
  readonly algorithm: DigestAlgorithm | undefined;
  /** Bytes that the upstream had when this was sealed; undefined where that is not known. */
  readonly received: number | undefined;
}

export interface UploadStatesOptions {
  /** 32 bytes, the same after a restart. @default random ones, which end every upload with the process */
  readonly key?: (() => Promise<Buffer>) | undefined;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

const VERSION = 1;
const NONCE = 12;
const TAG = 16;

/** Milliseconds that a state is good for: registries end an upload without news after days, and a client after minutes. */
const LASTS = 24 * 3_600_000;

/** Characters of a state that are read; the header of a request has 16 KiB for all. */
const MAX_LENGTH = 12 * 1024;

/**
 * Seals where an upload goes on into a text that its client carries in `?_state=`, as distribution has it. So an upload outlives a
 * restart of this server, and this server remembers nothing of uploads that were left.
 *
 * A place may hold a signature, so it is encrypted; it decides where this server sends its credential, so it is authenticated
 * (AES-256-GCM). It is good for one repository and one principal.
 */
export class UploadStates {
  readonly #readKey: () => Promise<Buffer>;
  #read: Promise<Buffer> | undefined;
  readonly #now: () => number;

  constructor({ key, now = Date.now }: UploadStatesOptions = {}) {
    const own = randomBytes(32);
    this.#readKey = key ?? (() => Promise.resolve(own));
    this.#now = now;
  }

  #key(): Promise<Buffer> {
    this.#read ??= this.#readKey();
    return this.#read;
  }

  async seal(state: UploadState): Promise<string> {
    const { id, segment, repository, principal, upstream, place, algorithm, received = -1 } = state;
    const text = JSON.stringify([
      VERSION,
      this.#now(),
      id,
      segment,
      repository.registry,
      repository.repository,
      principal,
      upstream,
      place.url,
      place.privateNetwork,
      algorithm ?? '',
      received,
    ]);
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv('aes-256-gcm', await this.#key(), nonce);
    return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString(
      'base64url',
    );
  }

  /** Undefined for a text that this server has not sealed, or not lately. */
  async open(sealed: string): Promise<UploadState | undefined> {
    if (sealed.length > MAX_LENGTH || !/^[\w-]+$/.test(sealed)) return undefined;
    const bytes = Buffer.from(sealed, 'base64url');
    // A text has one spelling: the last character may hold bits that no byte has.
    if (bytes.length < NONCE + TAG || bytes.toString('base64url') !== sealed) return undefined;
    let fields: unknown[];
    try {
      const decipher = createDecipheriv('aes-256-gcm', await this.#key(), bytes.subarray(0, NONCE), {
        authTagLength: TAG,
      });
      decipher.setAuthTag(bytes.subarray(-TAG));
      const text = Buffer.concat([decipher.update(bytes.subarray(NONCE, -TAG)), decipher.final()]).toString('utf8');
      fields = JSON.parse(text) as unknown[];
    } catch {
      return undefined;
    }
    const [
      version,
      sealedAt,
      id,
      segment,
      registry,
      repository,
      principal,
      upstream,
      url,
      isPrivate,
      algorithm,
      received,
    ] = fields;
    const age = this.#now() - Number(sealedAt);
    if (version !== VERSION || !(age > -LASTS && age < LASTS)) return undefined;
    return {
      id: String(id),
      segment: String(segment),
      repository: { registry: String(registry), repository: String(repository) },
      principal: String(principal),
      upstream: String(upstream),
      place: { url: String(url), privateNetwork: isPrivate === true },
      algorithm: algorithm === 'sha256' || algorithm === 'sha512' ? algorithm : undefined,
      received: typeof received === 'number' && received >= 0 ? received : undefined,
    };
  }
}
