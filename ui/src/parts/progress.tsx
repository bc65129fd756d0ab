import type { JSX } from 'preact';
import { formats } from '../words/index.ts';

/** A bar from 0 to `max`; without a `max` it only moves. */
export function Progress({
  value,
  max,
  label,
  tone = 'accent',
}: {
  readonly value: number;
  readonly max?: number | undefined;
  /** What makes progress, for screen readers. */
  readonly label: string;
  readonly tone?: 'accent' | 'bad' | 'quiet';
}): JSX.Element {
  const known = max !== undefined && max > 0;
  const share = known ? Math.min(1, value / max) : 0;
  const state = known
    ? { 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.floor(share * 100) }
    : { 'aria-valuetext': formats.value.bytes(value) };
  return (
    <div
      class={`progress progress-${tone}${known ? '' : ' progress-open'}`}
      role="progressbar"
      aria-label={label}
      {...state}
    >
      <span style={known ? { transform: `scaleX(${share})` } : undefined} />
    </div>
  );
}
