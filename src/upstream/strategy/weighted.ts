/** One upstream, as the policy sees it. */
export interface Weighted {
  readonly name: string;
  /** 0: only after all others. */
  readonly weight: number;
}

/**
 * The order of upstreams for a key, by weighted rendezvous hashing: over many keys each upstream is first as often as its weight
 * says, and each key has the same order every time, at every server with the same configuration. Where an upstream is added,
 * the only keys that move are those that it takes.
 *
 * @param key a digest: the cache of an upstream is then asked for the same content each time
 */
export function byWeight<W extends Weighted>(upstreams: readonly W[], key: string): readonly W[] {
  const drawn = upstreams
    .filter(({ weight }) => weight > 0)
    .map((upstream) => ({ upstream, at: -Math.log(unitOf(`${key} ${upstream.name}`)) / upstream.weight }))
    .sort((a, b) => a.at - b.at)
    .map(({ upstream }) => upstream);
  return [...drawn, ...upstreams.filter(({ weight }) => weight === 0)];
}

/** An even spread of texts between 0 and 1, both excluded: FNV-1a, mixed as MurmurHash3 ends. */
function unitOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) + 0.5) / 2 ** 32;
}
