import type { Row } from './lib/row.ts';
import { cuts } from './rows/cuts.ts';
import { herd } from './rows/herd.ts';
import { kills } from './rows/kills.ts';
import { mixedSpeeds } from './rows/mixed-speeds.ts';
import { rottenFiles } from './rows/rotten-files.ts';
import { soak } from './rows/soak.ts';

/** Every kind of fault, in the order of the table. */
export const ROWS: readonly Row[] = [cuts, kills, rottenFiles, herd, mixedSpeeds, soak];
