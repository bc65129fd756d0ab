import { pullAll } from './lib/clients.ts';
import type { Figure, Goal } from './lib/figures.ts';
import { GiB } from './lib/machine.ts';
import { cpuOf } from './lib/process-cpu.ts';
import { startSite } from './lib/sites.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { startEntrepot, startNginx } from './lib/subjects.ts';

const GOALS: readonly Goal[] = [{ bound: 'at most', value: 3, of: 'nginx' }];

/**
 * CPU seconds a mirror route needs to send a GiB of a site: from the cache, and streamed where nothing is kept.
 *
 * nginx does the same with proxy_cache, from which it sends with sendfile, and with proxy_pass.
 */
export const mirrorRoute: Bench = {
  id: 'B9',
  title: 'mirror route',
  async measure({ settings, origin, progress, ...place }) {
    const blob = await origin.addBlob(settings.size);
    const site = await startSite(place.workspace, blob);
    const mirrors = [
      { name: 'kept', prefix: '/kept', upstream: site.url },
      { name: 'through', prefix: '/through', upstream: site.url, cache: 'off' },
    ];
    const entrepot = await startEntrepot(place, { upstream: origin.url, config: { mirrors } });
    const nginx = await startNginx(place, { upstream: site.url, files: origin.files });
    const works = [
      { work: 'mirror route, warm, CPU', prefix: '/kept', peer: nginx?.cache },
      { work: 'mirror route, streamed, CPU', prefix: '/through', peer: nginx?.pass },
    ];
    const rounds = Math.max(1, Math.ceil(GiB / settings.size));
    const figures: Figure[] = [];
    for (const { work, prefix, peer } of works) {
      const subjects = [{ ...entrepot, url: `${entrepot.url}${prefix}` }, ...(peer === undefined ? [] : [peer])];
      const samples = new Samples();
      const fetched = new Samples();
      // The first pulls warm the code, and fill the cache where there is one.
      for (let run = 0; run <= settings.runs; run++) {
        for (const { name, url, process } of subjects) {
          progress(`${work}: ${run === 0 ? 'warming' : `run ${run} of ${settings.runs},`} ${name}`);
          const before = site.bodies();
          const { cpu, result } = await cpuOf(process.pid, () =>
            pullAll({ url: `${url}${blob.path}`, expected: blob.file, rounds: run === 0 ? 2 : rounds }),
          );
          if (run === 0) continue;
          samples.add(name, (cpu / result.bytes) * GiB);
          fetched.add(name, site.bodies() - before);
        }
      }
      figures.push(
        ...subjects.map(
          ({ name, peer: program }): Figure => ({
            bench: 'B9',
            work,
            subject: name,
            unit: 's/GiB',
            samples: samples.of(name),
            ...(program === undefined ? { goals: GOALS } : { peer: program }),
          }),
        ),
      );
      if (prefix !== '/kept') continue;
      const common = { bench: 'B9', work: 'the same, asked of the site', unit: 'bodies' };
      figures.push(
        ...subjects.map(
          ({ name }): Figure => ({
            ...common,
            subject: name,
            samples: fetched.of(name),
            goals: [{ bound: 'exactly', value: 0 }],
          }),
        ),
      );
    }
    return figures;
  },
};
