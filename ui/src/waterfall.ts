/** The steps of a request, in their order. */
export const STEPS = ['slot', 'gate', 'first', 'body'] as const;
export type Step = (typeof STEPS)[number];

/** A part of a bar, in hundredths of the whole width. */
export interface Piece<Kind> {
  readonly kind: Kind;
  readonly start: number;
  readonly width: number;
  readonly ms: number;
}

export interface Timed {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly slotMs?: number;
  readonly gateMs?: number;
  readonly firstByteMs?: number;
  readonly totalMs: number;
}

/** From the first begin to the last end, in milliseconds since 1970; at least a millisecond long. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export function spanOf(requests: readonly Timed[]): Span {
  if (requests.length === 0) return { from: 0, to: 1 };
  const from = Math.min(...requests.map(({ at }) => at));
  const to = Math.max(...requests.map(({ at, totalMs }) => at + totalMs));
  return { from, to: Math.max(to, from + 1) };
}

/** The steps of a request that took any time. What is not known of its beginning is counted as sending. */
export function piecesOf(
  { at, slotMs = 0, gateMs = 0, firstByteMs = 0, totalMs }: Timed,
  span: Span,
): readonly Piece<Step>[] {
  const body = Math.max(0, totalMs - slotMs - gateMs - firstByteMs);
  const pieces: Piece<Step>[] = [];
  let begin = at;
  for (const [place, ms] of [slotMs, gateMs, firstByteMs, body].entries()) {
    if (ms > 0) pieces.push({ kind: STEPS[place] as Step, ms, ...placeIn(span, begin, ms) });
    begin += ms;
  }
  return pieces;
}

/** Where a time lies in a span, in hundredths of its width. */
export function placeIn(
  { from, to }: Span,
  at: number,
  ms: number,
): { readonly start: number; readonly width: number } {
  const whole = to - from;
  const start = clamp(((at - from) / whole) * 100);
  return { start, width: Math.min(100 - start, clamp((ms / whole) * 100)) };
}

function clamp(value: number): number {
  return Math.max(0, Math.min(100, value));
}
