/**
 * Loaded into a process before its program (`node --import`), this makes its wall clock run faster, so that graces of a day are over in
 * seconds and no option has to shorten them: `FAULTS_HASTE=1790000000000*7200` is two hours a second from that moment on, in milliseconds
 * since 1970, and the same in every process that is given the same.
 *
 * The times of files in `hosted/uploads/` are read by the same clock. What is done every some minutes is done every second. All other
 * timers and `performance.now()` are left alone: the disk and the clients are no faster than they are.
 */
import fs, { type Stats } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { sep } from 'node:path';
import { hastyTime } from './hasty-time.ts';

const setting = process.env['FAULTS_HASTE'];
if (setting !== undefined) hurry(setting);

function hurry(haste: string): void {
  const RealDate = Date;
  class HastyDate extends RealDate {
    constructor(...args: readonly unknown[]) {
      if (args.length === 0) super(hastyTime(haste, RealDate.now()));
      else super(...(args as [number]));
    }
    static override now(): number {
      return hastyTime(haste, RealDate.now());
    }
  }
  globalThis.Date = HastyDate as DateConstructor;

  const lstat = fs.promises.lstat.bind(fs.promises) as (path: fs.PathLike) => Promise<Stats>;
  const hastyStat = async (path: fs.PathLike): Promise<Stats> => {
    const stats = await lstat(path);
    if (String(path).includes(`${sep}hosted${sep}uploads${sep}`)) stats.mtimeMs = hastyTime(haste, stats.mtimeMs);
    return stats;
  };
  fs.promises.lstat = hastyStat as typeof fs.promises.lstat;
  syncBuiltinESMExports();

  const MINUTE = 60_000;
  const every = globalThis.setInterval;
  const hastyInterval = (work: () => void, ms = 0, ...rest: unknown[]): NodeJS.Timeout =>
    every(work, ms >= MINUTE ? 1000 : ms, ...(rest as []));
  globalThis.setInterval = hastyInterval;
}
