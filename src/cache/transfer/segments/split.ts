import type { SplitPolicy } from './slots.ts';

/** How the blobs of one upstream are split, by its name. */
export type SplitOfUpstream = (upstream: string) => SplitPolicy;

/**
 * How a blob is split that several upstreams may have: with as many connections as the one that allows most, and from the size on from
 * which one of them has segments. Those that allow one connection have none, and count only where all do.
 */
export function splitAmong(
  upstreams: readonly string[],
  policyOf: SplitOfUpstream,
): Pick<SplitPolicy, 'connections' | 'minSegment'> {
  const policies = upstreams.map(policyOf);
  const able = policies.filter(({ connections }) => connections > 1);
  const counted = able.length > 0 ? able : policies;
  return {
    connections: Math.max(1, ...counted.map(({ connections }) => connections)),
    minSegment: Math.min(...counted.map(({ minSegment }) => minSegment)),
  };
}
