import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Lru } from '../../lib/index.ts';
import { type Authority, type PemPair, signLeaf } from './certificates.ts';

/** More than all known registries need; beyond that, the least recently used leaf is dropped and signed again. */
const MAX_LEAVES = 512;
/** Share of a leaf's lifetime after which a new one is signed. */
const RENEW_AT = 0.8;

/**
 * The leaf certificates of one authority, each signed on first use, kept, and replaced before it expires.
 *
 * All share one key, which is made on first use and never written to disk. A key for each would cost more than the leaf and
 * protect nothing: all keys would lie in the same memory.
 */
export class LeafCertificates {
  readonly #authority: Authority;
  readonly #kept = new Lru<{ readonly pair: PemPair; readonly renewAt: number }>({ maxWeight: MAX_LEAVES });
  readonly #now: () => number;
  #keys: { readonly publicKey: KeyObject; readonly pem: string } | undefined;

  constructor(authority: Authority, now: () => number = Date.now) {
    this.#authority = authority;
    this.#now = now;
  }

  /** Leaves in memory. */
  get size(): number {
    return this.#kept.weight;
  }

  /** @param name a lower-case ASCII host name, or an IP address. The caller decides which names may have a leaf. */
  for(name: string): PemPair {
    const now = this.#now();
    const kept = this.#kept.get(name);
    if (kept !== undefined && now < kept.renewAt) return kept.pair;
    const { publicKey, pem } = (this.#keys ??= makeKeys());
    const { cert, notAfter } = signLeaf(this.#authority, { name, publicKey, now: new Date(now) });
    const pair = { cert, key: pem };
    this.#kept.set(name, { pair, renewAt: now + (notAfter.getTime() - now) * RENEW_AT });
    return pair;
  }
}

function makeKeys(): { readonly publicKey: KeyObject; readonly pem: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { publicKey, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}
