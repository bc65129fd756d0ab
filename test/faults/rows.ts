import type { Row } from './lib/row.ts';
import { clockJumps } from './rows/clock-jumps.ts';
import { collection } from './rows/collection.ts';
import { cutPushes } from './rows/cut-pushes.ts';
import { cuts } from './rows/cuts.ts';
import { deadUpstream } from './rows/dead-upstream.ts';
import { diskErrors } from './rows/disk-errors.ts';
import { fullDisk } from './rows/full-disk.ts';
import { herd } from './rows/herd.ts';
import { kills } from './rows/kills.ts';
import { lostDatabase } from './rows/lost-database.ts';
import { misbehaviour } from './rows/misbehaviour.ts';
import { mixedSpeeds } from './rows/mixed-speeds.ts';
import { rottenFiles } from './rows/rotten-files.ts';
import { segments } from './rows/segments.ts';
import { soak } from './rows/soak.ts';

/** Every kind of fault, in the order of the table. */
export const ROWS: readonly Row[] = [
  cuts,
  segments,
  kills,
  rottenFiles,
  deadUpstream,
  fullDisk,
  herd,
  mixedSpeeds,
  diskErrors,
  misbehaviour,
  lostDatabase,
  clockJumps,
  cutPushes,
  collection,
  soak,
];
