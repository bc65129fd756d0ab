import { setTimeout as sleep } from 'node:timers/promises';
import { noteCleanStop, takeCleanStop } from '../src/store/index.ts';
import { memoryOf } from '../test/faults/lib/process-figures.ts';
import type { Figure } from './lib/figures.ts';
import { fillCache } from './lib/full-cache.ts';
import { cpuSeconds, untilIdle } from './lib/process-cpu.ts';
import type { Bench, Stage } from './lib/stage.ts';
import { median } from './lib/statistics.ts';
import { type Subject, startEntrepot } from './lib/subjects.ts';

/** Blobs that are asked for: more than one page of anything. */
const ASKED = 200;
const SIZE = 4096;
const SIZES = [1000, 10_000, 100_000, 1_000_000];
const MiB = 1024 * 1024;

/** Milliseconds within which rows and files have been compared, a million of them on a busy machine. */
const COMPARING = 120_000;

/**
 * What a hit costs, and what the process holds, as the cache fills: a thousand blobs, ten thousand, and so on up to
 * `--blobs`. Nothing that is done for one request may depend on how much is stored.
 */
export const growth: Bench = {
  id: 'B7',
  title: 'growth',
  async measure(stage) {
    const { settings, origin, workspace, progress } = stage;
    const dir = workspace.path('growing');
    const blobs = await Promise.all(Array.from({ length: ASKED }, () => origin.addBlob(SIZE)));
    const paths = blobs.map(({ path }) => path);
    const sizes = SIZES.filter((size) => size <= Math.max(settings.blobs, 1000));
    const figures: Figure[] = [];
    const hits = new Map<number, number>();
    const memory = new Map<number, number>();
    // The first start makes the directory and stores what is asked for.
    await hitsOf(stage, { dir, paths, rounds: 1, isSettled: false });
    for (const [i, size] of sizes.entries()) {
      progress(`storing ${size.toLocaleString('en')} blobs`);
      fillCache(dir, size, { from: sizes[i - 1] ?? 0 });
      progress(`${size.toLocaleString('en')} blobs, as after a crash`);
      const unsettled = await hitsOf(stage, { dir, paths, rounds: 1, isSettled: false });
      await compare(stage, dir);
      progress(`${size.toLocaleString('en')} blobs`);
      const found = await hitsOf(stage, { dir, paths, rounds: settings.runs, isSettled: true });
      hits.set(size, median(found.cpu));
      memory.set(size, found.memory);
      const common = { bench: 'B7', subject: 'entrepot' } as const;
      figures.push(
        { ...common, work: `a hit among ${size.toLocaleString('en')}`, unit: 'ms', samples: found.milliseconds },
        { ...common, work: `CPU of a hit among ${size.toLocaleString('en')}`, unit: 'ms', samples: found.cpu },
        {
          ...common,
          work: `among ${size.toLocaleString('en')}, while rows and files are compared`,
          unit: 'ms',
          samples: unsettled.milliseconds,
          note: 'the start after a crash; with few blobs it is over before a client asks',
        },
        { ...common, work: `memory with ${size.toLocaleString('en')}`, unit: 'MiB', samples: [found.memory / MiB] },
      );
    }
    const [first = 0, last = first] = [sizes[0], sizes.at(-1)];
    return [
      ...figures,
      {
        bench: 'B7',
        subject: 'entrepot',
        work: `CPU of a hit among ${last.toLocaleString('en')}, against ${first.toLocaleString('en')}`,
        unit: '×',
        samples: [(hits.get(last) ?? Number.NaN) / (hits.get(first) ?? Number.NaN)],
        goals: [{ bound: 'at most', value: 1.2 }],
        note: 'one client, one request at a time, a connection that is kept',
      },
      {
        bench: 'B7',
        subject: 'entrepot',
        work: `memory with ${last.toLocaleString('en')}, against ${first.toLocaleString('en')}`,
        unit: 'MiB more',
        samples: [((memory.get(last) ?? Number.NaN) - (memory.get(first) ?? Number.NaN)) / MiB],
        goals: [{ bound: 'at most', value: 16 }],
      },
    ] satisfies readonly Figure[];
  },
};

interface HitsOptions {
  readonly dir: string;
  readonly paths: readonly string[];
  /** How often everything is asked for, once it is warm. */
  readonly rounds: number;
  /** The last stop was in order: the start has nothing to compare, and is done with what it does before anything is timed. */
  readonly isSettled: boolean;
}

interface Hits {
  /** Per request, one sample for each round: by the clock, and of the server's processor. */
  readonly milliseconds: readonly number[];
  readonly cpu: readonly number[];
  /** Bytes resident. */
  readonly memory: number;
}

/** Starts on a directory and asks for everything, over and over. */
async function hitsOf(stage: Stage, { dir, paths, rounds, isSettled }: HitsOptions): Promise<Hits> {
  const subject = await startEntrepot(stage, { upstream: stage.origin.url, dir });
  const { pid } = subject.process;
  try {
    // The first reading after a start looks whether the content is right; the second fills what is kept in memory. Until the
    // rest are over Node compiles what is asked of it most, which costs as much as a fifth of the hits.
    for (let turn = 0; turn < (isSettled ? 15 : 2); turn += 1) await askForAll(subject, paths);
    if (isSettled) await untilIdle(pid);
    const milliseconds: number[] = [];
    const cpu: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const used = await cpuSeconds(pid);
      const began = performance.now();
      for (let turn = 0; turn < 5; turn += 1) await askForAll(subject, paths);
      milliseconds.push((performance.now() - began) / (5 * paths.length));
      cpu.push((((await cpuSeconds(pid)) - used) * 1000) / (5 * paths.length));
    }
    return { milliseconds, cpu, memory: memoryOf(pid)?.now ?? Number.NaN };
  } finally {
    await subject.process.stop();
  }
}

/** Lets a server compare rows and files to the end, which the note of its stop shows. */
async function compare(stage: Stage, dir: string): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const subject = await startEntrepot(stage, { upstream: stage.origin.url, dir });
    const { pid } = subject.process;
    const deadline = Date.now() + COMPARING;
    // It rests most of the time, and on a busy machine for long.
    for (let quiet = 0, last = Number.NaN; quiet < 4 && Date.now() < deadline; ) {
      await sleep(500);
      const now = await cpuSeconds(pid);
      quiet = now === last ? quiet + 1 : 0;
      last = now;
    }
    await subject.process.stop();
    if ((await takeCleanStop(dir)) === undefined) continue;
    await noteCleanStop(dir, { reconciledAt: Date.now() });
    return;
  }
  throw new Error(`rows and files were not compared within ${(3 * COMPARING) / 1000} s`);
}

async function askForAll({ url }: Subject, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const response = await fetch(`${url}${path}`);
    const { byteLength } = await response.arrayBuffer();
    if (response.status === 200 && byteLength === SIZE) continue;
    throw new Error(`${path} was answered ${response.status} with ${byteLength} bytes`);
  }
}
