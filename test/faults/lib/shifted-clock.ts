/**
 * Loaded into a process before its program (`node --import`), this makes its wall clock jump: the milliseconds to add are in
 * the file that `FAULTS_CLOCK` names, which is read again every few milliseconds. Timers and `performance.now()`, which run by
 * a clock that cannot be set, are left alone, as the system leaves them alone.
 */
import { readFileSync } from 'node:fs';

const file = process.env['FAULTS_CLOCK'];
if (file !== undefined) {
  const RealDate = Date;
  let shift = 0;
  const read = (): void => {
    try {
      shift = Number(readFileSync(file, 'utf8')) || 0;
    } catch {
      // Being written.
    }
  };
  read();
  setInterval(read, 20).unref();
  class ShiftedDate extends RealDate {
    constructor(...args: readonly unknown[]) {
      if (args.length === 0) super(RealDate.now() + shift);
      else super(...(args as [number]));
    }
    static override now(): number {
      return RealDate.now() + shift;
    }
  }
  globalThis.Date = ShiftedDate as DateConstructor;
}
