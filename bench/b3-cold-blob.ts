import { hashOnServerCore, pullAll } from './lib/clients.ts';
import type { Figure, Goal } from './lib/figures.ts';
import { openLink } from './lib/link.ts';
import { GiB } from './lib/machine.ts';
import { memoryFigures } from './lib/memory.ts';
import { warmPageCache } from './lib/page-cache.ts';
import { cpuOf } from './lib/process-cpu.ts';
import { type Bench, Samples, type Stage } from './lib/stage.ts';
import {
  startDistributionMirror,
  startEntrepot,
  startEntrepots,
  startNginx,
  startRegistryMirror,
} from './lib/subjects.ts';

/** A line of 160 Mbit/s: well below what any of this can carry, so that the line is the limit. */
const LINK = 20_000_000;
const LINK_SIZE = 32 * 1024 * 1024;

const GOALS: readonly Goal[] = [
  { bound: 'at most', value: 0.6, of: 'docker-registry' },
  { bound: 'at most', value: 0.45, of: 'docker-registry', later: true },
  { bound: 'at most', value: 0.85, of: 'distribution' },
];

/**
 * The price of the first pull: CPU seconds for a GiB that is fetched, verified, stored and sent on; and how much longer it
 * takes than without a mirror, when the line to the upstream is the limit.
 */
export const coldBlob: Bench = {
  id: 'B3',
  title: 'cold blob',
  measure: async (stage) => [...(await measureCpu(stage)), ...(await measureWall(stage))],
};

async function measureCpu({ settings, origin, progress, ...place }: Stage): Promise<readonly Figure[]> {
  const nginx = await startNginx(place, { upstream: origin.url, files: origin.files });
  const subjects = [
    ...(await startEntrepots(place, { upstream: origin.url, beside: settings.beside })),
    nginx?.cache,
    await startRegistryMirror(place, origin.url),
    await startDistributionMirror(place, origin.url),
  ].filter((subject) => subject !== undefined);
  const samples = new Samples();
  const withoutHashing = new Samples();
  const hashing: number[] = [];
  // A first, small blob: compiling the code is no part of the price of a blob.
  for (let run = 0; run <= settings.runs; run++) {
    const blob = await origin.addBlob(run === 0 ? Math.min(settings.size, 32 * 1024 * 1024) : settings.size);
    // In every run again: what else the machine does makes hashing dearer, and everything else with it.
    const hash = await hashOnServerCore(blob.size, place.cores);
    if (run > 0) hashing.push(hash);
    for (const { name, peer, url, process } of subjects) {
      progress(run === 0 ? `warming ${name}` : `run ${run} of ${settings.runs}, ${name}`);
      await warmPageCache(place.workspace, blob.size);
      const { cpu, result } = await cpuOf(process.pid, () =>
        pullAll({ url: `${url}${blob.path}`, expected: blob.file }),
      );
      if (run === 0) continue;
      const cost = (cpu / result.bytes) * GiB;
      samples.add(name, cost);
      withoutHashing.add(name, peer === 'nginx' ? cost : cost - hash);
    }
    await blob.remove();
  }
  const common = { bench: 'B3', unit: 's/GiB' };
  const memory = memoryFigures('B3', subjects);
  return [
    ...subjects.map(
      ({ name, peer, isBeside }): Figure => ({
        ...common,
        work: 'cold blob, CPU',
        subject: name,
        samples: samples.of(name),
        ...(peer === undefined ? {} : { peer }),
        ...(peer === undefined && isBeside !== true ? { goals: GOALS } : {}),
        ...(peer === 'nginx' ? { note: 'stores without hashing' } : {}),
      }),
    ),
    { ...common, work: 'cold blob, CPU', subject: 'SHA-256 in Node, nothing else', samples: hashing },
    ...subjects.map(
      ({ name, peer }): Figure => ({
        ...common,
        work: 'the same, without hashing',
        subject: name,
        samples: withoutHashing.of(name),
        ...(peer === undefined ? {} : { peer }),
        ...(peer === 'nginx' ? {} : { note: 'less SHA-256 once, as it cost Node in the same run' }),
      }),
    ),
    ...memory,
  ];
}

async function measureWall({ settings, origin, progress, ...place }: Stage): Promise<readonly Figure[]> {
  const link = await openLink(origin.url, { bytesPerSecond: LINK });
  place.workspace.defer(() => link.close());
  const entrepot = await startEntrepot(place, { upstream: link.url });
  const ratios: number[] = [];
  const straight: number[] = [];
  const mirrored: number[] = [];
  for (let run = 0; run <= settings.runs; run++) {
    const blob = await origin.addBlob(run === 0 ? 1024 * 1024 : LINK_SIZE);
    progress(run === 0 ? 'warming over a thin line' : `run ${run} of ${settings.runs} over a thin line`);
    const without = await pullAll({ url: `${link.url}${blob.path}`, expected: blob.file });
    const through = await pullAll({ url: `${entrepot.url}${blob.path}`, expected: blob.file });
    if (run > 0) {
      straight.push(without.wall / 1000);
      mirrored.push(through.wall / 1000);
      ratios.push(through.wall / without.wall);
    }
    await blob.remove();
  }
  const common = { bench: 'B3', work: `cold ${LINK_SIZE / 1024 / 1024} MiB over ${LINK / 1e6} MB/s, wall` };
  return [
    { ...common, subject: 'straight from the upstream', unit: 's', samples: straight },
    { ...common, subject: 'through entrepot', unit: 's', samples: mirrored },
    {
      ...common,
      subject: 'through entrepot',
      unit: '× straight',
      samples: ratios,
      goals: [{ bound: 'at most', value: 1.05 }],
    },
  ];
}
