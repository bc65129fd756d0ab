import bcrypt from 'bcryptjs';
import { pushAll } from './lib/clients.ts';
import type { Figure, Goal } from './lib/figures.ts';
import { PASSWORD, tokenOf } from './lib/login.ts';
import { GiB } from './lib/machine.ts';
import { cpuOf } from './lib/process-cpu.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { startDistribution, startEntrepot, startRegistry } from './lib/subjects.ts';

const IMAGES = 200;
const IMAGE_SIZE = 1024 * 1024;

const BLOB_GOALS: readonly Goal[] = [
  { bound: 'at most', value: 0.7, of: 'docker-registry' },
  { bound: 'at most', value: 1.2, of: 'distribution' },
];

/**
 * What a push costs: CPU per GiB of one blob, sent as Docker sends it; and how fast 200 small images are taken that come at the same
 * time. entrepot takes pushes from those who log in, so it checks a token where the peers let everyone push.
 */
export const push: Bench = {
  id: 'B13',
  title: 'push',
  async measure({ settings, origin, progress, ...place }) {
    const htpasswd = await place.workspace.file('htpasswd', `alice:${bcrypt.hashSync(PASSWORD, 5)}\n`);
    const config = {
      registries: { apps: { hosted: true } },
      default_registry: 'apps',
      access: { htpasswd, rules: [{ who: 'alice', may: ['pull', 'push'], on: ['apps/**'] }] },
    };
    const entrepot = await startEntrepot(place, { upstream: origin.url, config });
    const subjects = [entrepot, await startRegistry(place), await startDistribution(place)].filter(
      (subject) => subject !== undefined,
    );
    const loginOf = async (subject: (typeof subjects)[number]): Promise<string | undefined> =>
      subject === entrepot ? await tokenOf(entrepot.url) : undefined;
    const costs = new Samples();
    const rates = new Samples();
    const errors = new Samples();
    for (let run = 0; run <= settings.runs; run++) {
      const blob = await origin.addBlob(run === 0 ? Math.min(settings.size, 32 * 1024 * 1024) : settings.size);
      for (const subject of subjects) {
        const { name, url, process } = subject;
        progress(run === 0 ? `warming ${name}` : `run ${run} of ${settings.runs}, ${name}`);
        const authorization = await loginOf(subject);
        const { cpu, result } = await cpuOf(process.pid, () =>
          pushAll({ url: `${url}/v2/pushed/blob`, authorization, blob: blob.file }),
        );
        const many = await pushAll({
          url: `${url}/v2/pushed/run-${run}`,
          authorization,
          images: { count: IMAGES, bytes: IMAGE_SIZE },
        });
        if (many.firstError !== undefined) progress(`${name}: ${many.firstError}`);
        if (run === 0) continue;
        costs.add(name, (cpu / result.bytes) * GiB);
        rates.add(name, IMAGES / (many.wall / 1000));
        errors.add(name, many.errors);
      }
      await blob.remove();
    }
    const common = { bench: 'B13' };
    return subjects.flatMap(({ name, peer }): readonly Figure[] => {
      const subject = { ...common, subject: name, ...(peer === undefined ? {} : { peer }) };
      const own = peer === undefined;
      return [
        {
          ...subject,
          work: 'push of a blob, CPU',
          unit: 's/GiB',
          samples: costs.of(name),
          ...(own && { goals: BLOB_GOALS }),
        },
        {
          ...subject,
          work: `${IMAGES} images of ${IMAGE_SIZE / 2 ** 20} MiB at the same time`,
          unit: 'images/s',
          samples: rates.of(name),
          ...(own && { goals: [{ bound: 'at least', value: 1.5, of: 'docker-registry' }] }),
        },
        {
          ...subject,
          work: `${IMAGES} images of ${IMAGE_SIZE / 2 ** 20} MiB at the same time`,
          unit: 'errors',
          samples: errors.of(name),
          ...(own && { goals: [{ bound: 'exactly', value: 0 }] }),
        },
      ];
    });
  },
};
