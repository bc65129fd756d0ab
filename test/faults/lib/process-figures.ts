import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Resident bytes of a process now, and the most there ever were (proc(5), status); undefined where it is gone. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    const read = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) * 1024;
    return { now: read('VmRSS'), peak: read('VmHWM') };
  } catch {
    return undefined;
  }
}

/** What is left of a process's memory after a sweep, in bytes. */
export interface SweptMemory {
  /** On the heap and in buffers. */
  readonly live: number;
  /** On the heap alone. */
  readonly heap: number;
  readonly resident: number;
}

/**
 * Sweeps the heap of a process that swept-memory.ts was loaded into; undefined where it did not say within five seconds.
 *
 * @param file which `FAULTS_MEMORY` named to it
 */
export async function sweptMemoryOf(pid: number, file: string): Promise<SweptMemory | undefined> {
  rmSync(file, { force: true });
  process.kill(pid, 'SIGUSR2');
  for (let turn = 0; turn < 250; turn += 1) {
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as SweptMemory;
    } catch {
      await sleep(20);
    }
  }
  return undefined;
}

/** Open descriptors of a process. */
export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Slope of the line with the least squares through points `[x, y]`, in y per x. */
export function slopeOf(points: readonly (readonly [number, number])[]): number {
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return below === 0 ? 0 : above / below;
}

/** The value so that a share of all are no larger; 0 of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

export const MiB = 1024 * 1024;

/** The first sample of a metric the server publishes, with or without its prefix; NaN where there is none. */
export async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^(?:entrepot_)?${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]);
}
