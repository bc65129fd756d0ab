import { pullAll } from './lib/clients.ts';
import type { Figure } from './lib/figures.ts';
import { GiB } from './lib/machine.ts';
import { memoryFigures } from './lib/memory.ts';
import { cpuOf } from './lib/process-cpu.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { startDistributionMirror, startEntrepots, startNginx, startRegistryMirror } from './lib/subjects.ts';

/**
 * CPU seconds a server needs to send a GiB it has: the price of a pull from the cache.
 *
 * nginx sends the same bytes as a plain file, which is as cheap as sending gets.
 */
export const warmBlob: Bench = {
  id: 'B1',
  title: 'warm blob',
  async measure({ settings, origin, progress, ...place }) {
    const blob = await origin.addBlob(settings.size);
    const nginx = await startNginx(place, { upstream: origin.url, files: origin.files });
    const subjects = [
      ...(await startEntrepots(place, { upstream: origin.url, beside: settings.beside })),
      nginx?.files,
      await startRegistryMirror(place, origin.url),
      await startDistributionMirror(place, origin.url),
    ].filter((subject) => subject !== undefined);
    // CPU time is counted in steps of 10 ms, and nginx needs a tenth of a second for a GiB.
    const rounds = Math.ceil((4 * GiB) / settings.size);
    const samples = new Samples();
    for (const { name, url } of subjects) {
      progress(`filling ${name}`);
      await pullAll({ url: `${url}${blob.path}`, expected: blob.file, rounds: 2 });
    }
    for (let run = 1; run <= settings.runs; run++) {
      for (const { name, url, process } of subjects) {
        progress(`run ${run} of ${settings.runs}, ${name}`);
        const { cpu, result } = await cpuOf(process.pid, () =>
          pullAll({ url: `${url}${blob.path}`, expected: blob.file, rounds }),
        );
        samples.add(name, (cpu / result.bytes) * GiB);
      }
    }
    return [
      ...subjects.map(
        ({ name, peer, isBeside }): Figure => ({
          bench: 'B1',
          work: 'warm blob, CPU',
          subject: name,
          unit: 's/GiB',
          samples: samples.of(name),
          ...(peer === undefined && isBeside !== true
            ? {
                goals: [
                  { bound: 'at most', value: 1.3, of: 'nginx' },
                  { bound: 'at most', value: 0.4, of: 'docker-registry' },
                  { bound: 'at most', value: 1, of: 'distribution' },
                  { bound: 'at most', value: 1, of: 'nginx', later: true },
                ],
              }
            : peer === undefined
              ? {}
              : { peer }),
        }),
      ),
      ...memoryFigures('B1', subjects),
    ];
  },
};
