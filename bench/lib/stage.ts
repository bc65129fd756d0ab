import { Workspace } from '../../test/support/processes.ts';
import type { Figure } from './figures.ts';
import type { Cores, Machine } from './machine.ts';
import { type Origin, startOrigin } from './origin.ts';
import type { Place } from './subjects.ts';

/** What the whole run was asked for. */
export interface Settings {
  /** Times each thing is measured. */
  readonly runs: number;
  /** Bytes of the blobs of B1, B3 and B8 to B10. */
  readonly size: number;
  /** Blobs in the full cache of B6. */
  readonly blobs: number;
  /** Directory of another checkout of entrepot, to be measured in turns with this one. */
  readonly beside: string | undefined;
}

/** Everything a bench is given. */
export interface Stage extends Place {
  readonly settings: Settings;
  readonly machine: Machine;
  readonly origin: Origin;
  /** Says what is being done, to the person who watches. */
  readonly progress: (text: string) => void;
}

/** One question of performance, and how it is answered. */
export interface Bench {
  /** `B1` */
  readonly id: string;
  /** For people: what is measured. */
  readonly title: string;
  measure(stage: Stage): Promise<readonly Figure[]>;
}

export interface Production {
  readonly settings: Settings;
  readonly machine: Machine;
  readonly cores: Cores | undefined;
  readonly progress: (text: string) => void;
}

/** Runs a bench on a stage of its own; everything it started and wrote is gone afterwards. */
export async function perform(bench: Bench, { progress, ...production }: Production): Promise<readonly Figure[]> {
  await using workspace = await Workspace.open();
  const origin = await startOrigin(workspace);
  return await bench.measure({
    ...production,
    workspace,
    origin,
    progress: (text) => progress(`${bench.id} ${bench.title}: ${text}`),
  });
}

/** Samples by subject, in the order the subjects first came. */
export class Samples {
  readonly #bySubject = new Map<string, number[]>();

  add(subject: string, sample: number): void {
    const samples = this.#bySubject.get(subject);
    if (samples === undefined) this.#bySubject.set(subject, [sample]);
    else samples.push(sample);
  }

  of(subject: string): readonly number[] {
    return this.#bySubject.get(subject) ?? [];
  }
}
