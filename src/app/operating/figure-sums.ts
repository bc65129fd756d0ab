import type { Caller, FigureSums } from '../../admin/index.ts';
import type { FigureTotals } from '../../pulls/index.ts';

export type RepositorySums = FigureTotals['repositories'][number];

type RecordedSums = Omit<RepositorySums, 'registry' | 'repository'>;

/** Whether a caller is told of a repository. What counts for no repository is for a caller who sees all. */
export function isSeenBy(
  { seesAll, sees }: Caller,
  { registry, repository }: { readonly registry: string; readonly repository: string },
): boolean | Promise<boolean> {
  return seesAll || (registry !== '' && sees({ registry, repository }));
}

export function addUp(parts: readonly RecordedSums[]): RecordedSums {
  const sum = (field: keyof RecordedSums): number => parts.reduce((total, part) => total + part[field], 0);
  return {
    pulls: sum('pulls'),
    requests: sum('requests'),
    hits: sum('hits'),
    failed: sum('failed'),
    bytes: sum('bytes'),
    fetched: sum('fetched'),
  };
}

/** With what was saved, in the order in which it is told. */
export function sumsOf({ pulls, requests, hits, failed, bytes, fetched }: RecordedSums): FigureSums {
  return { pulls, requests, hits, failed, bytes, fetched, saved: Math.max(0, bytes - fetched) };
}
