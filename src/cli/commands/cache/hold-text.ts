import { formatInstant } from '../../format.ts';

interface HoldText {
  readonly digest: string;
  /** Milliseconds since 1970, as all times here. */
  readonly since: number;
  readonly until?: number | undefined;
  readonly reason: string;
}

/** `held at sha256:… since 2026-11-29 12:00:00Z until 2026-12-06 12:00:00Z: broken build` */
export function describeHold({ digest, since, until, reason }: HoldText): string {
  const end = until === undefined ? '' : ` until ${formatInstant(until)}`;
  return `held at ${digest} since ${formatInstant(since)}${end}${reason === '' ? '' : `: ${reason}`}`;
}
