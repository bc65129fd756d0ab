import type { UpstreamReport } from '../check/index.ts';
import { type Finding, failed, ok, skipped, warning } from './finding.ts';

/** Seconds that a slow answer and a careless clock may make. */
const CARELESS = 30;
/** Seconds from which tokens count as expired, or not yet valid. */
const HARMFUL = 300;

/** Compares the clock of this machine with those of the upstreams that answered: the middle one counts. */
export function clockFinding(reports: readonly UpstreamReport[]): Finding {
  const ahead = reports
    .flatMap(({ steps }) => steps)
    .flatMap((step) => (step.step === 'http' && step.clockAheadSeconds !== undefined ? [step.clockAheadSeconds] : []))
    .sort((a, b) => a - b);
  const skew = ahead[Math.floor((ahead.length - 1) / 2)];
  const about = { id: 'clock.skew', what: 'clock' } as const;
  if (skew === undefined) return skipped({ ...about, found: 'no upstream answered with a date' });
  const size = Math.abs(skew);
  if (size <= CARELESS) return ok({ ...about, found: `within ${CARELESS} s of the upstreams` });
  const found = `${size} s ${skew > 0 ? 'behind' : 'ahead of'} the upstreams (${ahead.length} answered)`;
  const remedy = 'Set the clock of this machine, and keep it right: `timedatectl set-ntp true`, or chrony.';
  return size > HARMFUL ? failed({ ...about, found }, remedy) : warning({ ...about, found }, remedy);
}
