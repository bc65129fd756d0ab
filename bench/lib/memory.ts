import { memoryOf } from '../../test/faults/lib/process-figures.ts';
import type { Figure, Goal } from './figures.ts';
import type { Subject } from './subjects.ts';

const MiB = 1024 * 1024;

const GOAL: Goal = { bound: 'at most', value: 160 };

/** The most memory that each subject had resident so far; read before the subjects end. */
export function memoryFigures(bench: string, subjects: readonly Subject[]): readonly Figure[] {
  return subjects.map(
    ({ name, peer, isBeside, process }): Figure => ({
      bench,
      work: 'most memory at that work',
      subject: name,
      unit: 'MiB',
      samples: [(memoryOf(process.pid)?.peak ?? Number.NaN) / MiB],
      ...(peer === undefined ? {} : { peer }),
      ...(peer === undefined && isBeside !== true ? { goals: [GOAL] } : {}),
    }),
  );
}
