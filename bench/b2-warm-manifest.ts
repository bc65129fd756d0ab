import { loadGenerator, requestsPerSecond } from './lib/clients.ts';
import type { Figure } from './lib/figures.ts';
import { checkManifest } from './lib/origin.ts';
import { cpuOf } from './lib/process-cpu.ts';
import { type Bench, Samples, type Stage } from './lib/stage.ts';
import { startEntrepot, startNginx, startRegistryMirror } from './lib/subjects.ts';
import { costOfOption } from './lib/turns.ts';

const CONNECTIONS = 32;
const SECONDS = 2;

/**
 * Requests per second, on one core, for a manifest by a tag that is still fresh: what every node of a cluster asks before
 * it pulls, and often all it asks.
 */
export const warmManifest: Bench = {
  id: 'B2',
  title: 'warm manifest by tag',
  measure: async (stage) => [...(await measureRates(stage)), ...(await measureLog(stage))],
};

async function measureRates({ settings, origin, progress, cores, ...rest }: Stage): Promise<readonly Figure[]> {
  const place = { ...rest, cores };
  const { image, path } = await origin.addImage();
  const nginx = await startNginx(place, { upstream: origin.url, files: origin.files });
  const logging = await startEntrepot(place, {
    upstream: origin.url,
    name: 'entrepot, access log on',
    accessLog: true,
  });
  const subjects = [
    await startEntrepot(place, { upstream: origin.url }),
    logging,
    nginx?.cache,
    await startRegistryMirror(place, origin.url),
  ].filter((subject) => subject !== undefined);
  const load = { accept: image.index.mediaType, connections: CONNECTIONS };
  for (const { name, url } of subjects) {
    progress(`warming ${name}`);
    await checkManifest(`${url}${path}`, image);
    await requestsPerSecond({ ...load, url: `${url}${path}`, seconds: 1 });
  }
  const rates = new Samples();
  const costs = new Samples();
  for (let run = 1; run <= settings.runs; run++) {
    for (const { name, url, process } of subjects) {
      progress(`run ${run} of ${settings.runs}, ${name}`);
      const { cpu, result: rate } = await cpuOf(process.pid, () =>
        requestsPerSecond({ ...load, url: `${url}${path}`, seconds: SECONDS }),
      );
      rates.add(name, rate);
      costs.add(name, (cpu / (rate * SECONDS)) * 1e6);
    }
  }
  const note = [
    loadGenerator() === 'wrk' ? undefined : 'made by our own load generator, which nginx outruns: install wrk',
    cores === undefined ? 'not held to one core: clients and server compete' : undefined,
  ]
    .filter((part) => part !== undefined)
    .join('; ');
  const common = { bench: 'B2', ...(note === '' ? {} : { note }) };
  const work = `warm manifest, ${image.index.size} bytes`;
  return [
    ...subjects.map(
      ({ name, peer }): Figure => ({
        ...common,
        work,
        subject: name,
        unit: 'req/s',
        samples: rates.of(name),
        ...(peer === undefined ? {} : { peer }),
        ...(name === 'entrepot'
          ? {
              goals: [
                { bound: 'at least', value: 0.25, of: 'nginx' },
                { bound: 'at least', value: 50, of: 'docker-registry' },
                { bound: 'at least', value: 0.5, of: 'nginx', later: true },
              ],
            }
          : {}),
      }),
    ),
    ...subjects.map(
      ({ name, peer }): Figure => ({
        ...common,
        work: 'the same, CPU per request',
        subject: name,
        unit: 'µs',
        samples: costs.of(name),
        ...(peer === undefined ? {} : { peer }),
      }),
    ),
  ];
}

/** What a line for each request costs. */
async function measureLog(stage: Stage): Promise<readonly Figure[]> {
  const { size, without, within, ratios } = await costOfOption(stage, {
    name: 'logged',
    without: { accessLog: false },
    within: { accessLog: true },
    connections: CONNECTIONS,
  });
  const common = { bench: 'B2', work: `warm manifest, ${size} bytes, one server in turns, CPU` };
  return [
    { ...common, subject: 'access log off', unit: 'µs', samples: without },
    { ...common, subject: 'access log on', unit: 'µs', samples: within },
    {
      ...common,
      subject: 'access log on, requests per CPU second',
      unit: '× off',
      samples: ratios.map((ratio) => 1 / ratio),
      goals: [{ bound: 'at least', value: 0.85 }],
    },
  ];
}
