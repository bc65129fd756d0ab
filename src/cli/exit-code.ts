/** The exit codes of the program. */
export const EXIT = {
  ok: 0,
  failure: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** EX_DATAERR of sysexits.h: a file to import is not what it should be. */
  data: 65,
  /** EX_CONFIG of sysexits.h. A supervisor can tell it from a crash, and need not restart the program. */
  config: 78,
  /** 128 + SIGINT, as shells report it. */
  interrupted: 130,
} as const;
