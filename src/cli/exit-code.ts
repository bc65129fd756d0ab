/** What the command says to whoever started it. */
export const EXIT = {
  ok: 0,
  failure: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** EX_CONFIG of sysexits.h: supervisors can tell it from a crash, and need not try again. */
  config: 78,
} as const;
