import { median } from './statistics.ts';

/** A program everything is compared with. */
export type Peer = 'nginx' | 'docker-registry' | 'distribution' | 'squid';

/** One measured thing: what was done, by whom, and every sample. */
export interface Figure {
  /** `B1` */
  readonly bench: string;
  /** What was done. Figures of the same work and unit can be compared. */
  readonly work: string;
  /** Who did it, as the table says. */
  readonly subject: string;
  /** Set where the subject is a program to compare with. */
  readonly peer?: Peer;
  readonly unit: string;
  readonly samples: readonly number[];
  readonly goals?: readonly Goal[];
  /** What a reader must know to read it right. */
  readonly note?: string;
}

/** What a figure should reach: a number, or a multiple of what a peer reached at the same work. */
export interface Goal {
  readonly bound: 'at most' | 'at least' | 'exactly';
  readonly value: number;
  /** `value` is a factor of this peer's figure. */
  readonly of?: Peer;
  /** A goal for later: missing it is no failure. */
  readonly later?: boolean;
}

/** How a figure stands to a goal; `met` is undefined where the peer is not installed. */
export interface Verdict {
  readonly text: string;
  readonly met: boolean | undefined;
  readonly later: boolean;
}

const SIGNS = { 'at most': '≤', 'at least': '≥', exactly: '=' } as const;

/** The figure of a peer at the same work; undefined where it was not measured. */
export function figureOf(peer: Peer, like: Figure, all: readonly Figure[]): Figure | undefined {
  return all.find(
    (each) => each.peer === peer && each.bench === like.bench && each.work === like.work && each.unit === like.unit,
  );
}

/** How many times a peer's median a figure is. */
export function ratioTo(peer: Peer, figure: Figure, all: readonly Figure[]): number | undefined {
  const other = figureOf(peer, figure, all);
  if (other === undefined || other === figure || median(other.samples) === 0) return undefined;
  return median(figure.samples) / median(other.samples);
}

/** Judges the median of a figure against its goals. */
export function judge(figure: Figure, all: readonly Figure[]): readonly Verdict[] {
  return (figure.goals ?? []).map(({ bound, value, of, later = false }) => {
    const text = `${SIGNS[bound]} ${value}${of === undefined ? '' : ` × ${of}`}`;
    // What must be exact must be so every time.
    if (bound === 'exactly') return { text, later, met: figure.samples.every((sample) => sample === value) };
    const found = of === undefined ? median(figure.samples) : ratioTo(of, figure, all);
    return { text, later, met: found === undefined ? undefined : holds(found, bound, value) };
  });
}

function holds(found: number, bound: Goal['bound'], value: number): boolean {
  return bound === 'at most' ? found <= value : found >= value;
}
