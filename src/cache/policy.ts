import type { CapacityLimits } from './eviction/index.ts';
import { type PlatformFilter, platformFilter } from './registry/index.ts';
import {
  type Cooldown,
  createCooldown,
  createFreshness,
  type Freshness,
  type FreshnessOptions,
} from './revalidation/index.ts';
import type { SplitOf, SplitPolicy } from './transfer/index.ts';

const TEN_SECONDS = 10_000;
const WEEK = 7 * 24 * 3_600_000;

/** How long tags are fresh, and when a stale one is served. */
interface TagRules extends FreshnessOptions {
  /** Milliseconds after which a stale manifest is served while its upstream has not answered. @default 2000 */
  readonly staleAfter?: number;
  /** True: a stale manifest is served although its upstream no longer has the tag. @default false */
  readonly staleOnNotFound?: boolean;
}

const WHOLE_ONLY: SplitPolicy = { connections: 1, minSegment: 2 ** 40, mostOfUpstream: 0 };

/** What may change while the cache is in use. */
export interface CachePolicy extends CapacityLimits {
  /** Bytes of partial content that are kept; 0: none is. @default half of `maxSize`, or 32 GiB where that is not set */
  readonly partialSize?: number | undefined;
  /** False: everything is delivered and nothing is kept (`cache: off`). */
  readonly keep: boolean;
  /** `never`: manifests are never kept, as crproxy does. @default {} */
  readonly tags?: TagRules | 'never';
  /** @default 'ingest' */
  readonly onRange?: 'ingest' | 'pass';
  /** How blobs are split. @default they are not */
  readonly splitOf?: SplitOf | undefined;
  /** Patterns of `registry/repository:tag`: the images they match are never evicted. @default [] */
  readonly pin?: readonly string[];
  /** The platforms that are kept, as `linux/amd64`; the others are served and not kept. @default all */
  readonly platforms?: readonly string[] | undefined;
  /** Milliseconds that a "not found" of an upstream is remembered. @default 10_000 */
  readonly notFoundFor?: number;
  /** Milliseconds after which a stored blob is hashed again; 0: only at its first read since the start. @default 7 days */
  readonly verifyAfter?: number;
}

/** A policy with its patterns compiled and its defaults filled in. Each room of the cache names the part that it needs. */
export interface CompiledPolicy extends CapacityLimits {
  readonly partialSize: number | undefined;
  readonly keep: boolean;
  readonly keepsManifests: boolean;
  readonly tags: TagRules;
  readonly freshness: Freshness;
  readonly cooldown: Cooldown;
  readonly keepsPlatform: PlatformFilter;
  readonly onRange: 'ingest' | 'pass';
  readonly splitOf: SplitOf;
  readonly pin: readonly string[];
  readonly notFoundFor: number;
  readonly verifyAfter: number;
}

export function compilePolicy(options: CachePolicy): CompiledPolicy {
  const { keep, tags = {}, onRange = 'ingest', pin = [], platforms, maxSize, minFree, partialSize } = options;
  const { splitOf = () => WHOLE_ONLY } = options;
  const { notFoundFor = TEN_SECONDS, verifyAfter = WEEK } = options;
  const rules = tags === 'never' ? {} : tags;
  const keepsManifests = keep && tags !== 'never';
  return {
    keep,
    keepsManifests,
    tags: rules,
    freshness: createFreshness(rules),
    cooldown: createCooldown(rules),
    keepsPlatform: platformFilter(platforms),
    onRange,
    splitOf,
    pin,
    maxSize,
    minFree,
    partialSize,
    notFoundFor: keepsManifests ? notFoundFor : 0,
    verifyAfter,
  };
}
