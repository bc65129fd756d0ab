import { memoryOf } from '../test/faults/lib/process-figures.ts';
import { pullAll } from './lib/clients.ts';
import type { Figure } from './lib/figures.ts';
import { GiB } from './lib/machine.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { startEntrepot, startRegistryMirror } from './lib/subjects.ts';

const CLIENTS = 2000;
/** It takes several MiB for each, which at two thousand is more than many a machine has. */
const CLIENTS_OF_REGISTRY = 200;
const SIZE = 8 * 1024 * 1024;
const MiB = 1024 * 1024;

/**
 * Two thousand clients pull the same warm blob at the same time: does any go without, how fast is it, and what does it
 * cost in memory and in patience of the event loop?
 */
export const manyClients: Bench = {
  id: 'B5',
  title: `${CLIENTS.toLocaleString('en')} clients, one warm blob`,
  async measure({ settings, origin, progress, ...place }) {
    const blob = await origin.addBlob(SIZE);
    const subjects = [
      { subject: await startEntrepot(place, { upstream: origin.url }), clients: CLIENTS },
      { subject: await startRegistryMirror(place, origin.url), clients: CLIENTS_OF_REGISTRY },
    ];
    const samples = new Samples();
    const figures: Figure[] = [];
    for (const { subject, clients } of subjects) {
      if (subject === undefined) continue;
      const { name, url, peer, process } = subject;
      progress(`filling ${name}`);
      await pullAll({ url: `${url}${blob.path}`, expected: blob.file, rounds: 2 });
      for (let run = 1; run <= settings.runs; run += 1) {
        progress(`run ${run} of ${settings.runs}, ${name} with ${clients} clients`);
        // Reading it starts it again.
        if (peer === undefined) await loopDelay(url);
        const pulled = await pullAll({ url: `${url}${blob.path}`, expected: blob.file, clients, tolerant: true });
        samples.add(`${name} errors`, pulled.errors);
        samples.add(`${name} rate`, pulled.bytes / GiB / (pulled.wall / 1000));
        if (peer === undefined) samples.add(`${name} loop`, await loopDelay(url));
      }
      samples.add(`${name} memory`, (memoryOf(process.pid)?.peak ?? Number.NaN) / MiB);
      const isOurs = peer === undefined;
      const common = {
        bench: 'B5',
        subject: name,
        ...(isOurs ? {} : { peer, note: `with ${CLIENTS_OF_REGISTRY} clients: with ${CLIENTS} it may need 10 GiB` }),
      };
      figures.push(
        {
          ...common,
          work: 'errors',
          unit: `of ${clients}`,
          samples: samples.of(`${name} errors`),
          ...(isOurs ? { goals: [{ bound: 'exactly', value: 0 }] } : {}),
        },
        {
          ...common,
          work: 'rate to all clients',
          unit: 'GiB/s',
          samples: samples.of(`${name} rate`),
          ...(isOurs ? { goals: [{ bound: 'at least', value: 1.2, of: 'docker-registry' }] } : {}),
        },
        {
          ...common,
          work: 'most memory',
          unit: 'MiB',
          samples: samples.of(`${name} memory`),
          ...(isOurs ? { goals: [{ bound: 'at most', value: 350 }] } : {}),
        },
      );
      if (isOurs) {
        figures.push({
          ...common,
          work: 'event loop, 99 %',
          unit: 'ms',
          samples: samples.of(`${name} loop`),
          goals: [{ bound: 'at most', value: 100 }],
        });
      }
    }
    await blob.remove();
    return figures;
  },
};

/** The 99th percentile of how late the event loop was since this was last asked; milliseconds. */
async function loopDelay(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^entrepot_nodejs_eventloop_lag_p99_seconds (\S+)$/m.exec(text)?.[1]) * 1000;
}
