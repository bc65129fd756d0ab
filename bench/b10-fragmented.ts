import { hashOnServerCore, pullAll } from './lib/clients.ts';
import type { Figure } from './lib/figures.ts';
import { GiB } from './lib/machine.ts';
import { warmPageCache } from './lib/page-cache.ts';
import { cpuOf } from './lib/process-cpu.ts';
import { startTlsOrigin } from './lib/sites.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { type Subject, startEntrepots } from './lib/subjects.ts';

/**
 * What a ClientHello in two parts costs after the handshake: CPU seconds to stream a GiB from an upstream, plainly, over TLS,
 * and over TLS with `first_fragment_len`. Nothing is kept (`cache: off`), so that the disk is no part of it.
 */
export const fragmented: Bench = {
  id: 'B10',
  title: 'fragmented ClientHello',
  async measure({ settings, origin, progress, ...place }) {
    const blob = await origin.addBlob(settings.size);
    const secure = await startTlsOrigin(place.workspace, blob);
    const ways = [
      { name: 'plain HTTP', upstream: origin.url, length: 0 },
      { name: 'TLS', upstream: secure.registryUrl, length: 0 },
      { name: 'TLS, first_fragment_len: 3', upstream: secure.registryUrl, length: 3 },
    ];
    const subjects: Subject[] = [];
    for (const { name, upstream, length } of ways) {
      const transport = { ca_file: secure.caFile, first_fragment_len: length };
      const { beside } = settings;
      subjects.push(...(await startEntrepots(place, { name, upstream, beside, config: { transport, cache: 'off' } })));
    }
    const rounds = Math.max(1, Math.ceil(GiB / settings.size));
    const samples = new Samples();
    const hashing: number[] = [];
    for (let run = 0; run <= settings.runs; run++) {
      const hash = await hashOnServerCore(settings.size, place.cores);
      if (run > 0) hashing.push(hash);
      for (const { name, url, process } of subjects) {
        progress(run === 0 ? `warming ${name}` : `run ${run} of ${settings.runs}, ${name}`);
        await warmPageCache(place.workspace, blob.size);
        const { cpu, result } = await cpuOf(process.pid, () =>
          pullAll({ url: `${url}${blob.path}`, expected: blob.file, rounds: run === 0 ? 1 : rounds }),
        );
        if (run > 0) samples.add(name, (cpu / result.bytes) * GiB);
      }
    }
    const tls = samples.of('TLS');
    const cut = samples.of('TLS, first_fragment_len: 3');
    const common = { bench: 'B10', work: 'streamed blob, CPU', unit: 's/GiB' };
    return [
      ...subjects.map(({ name }): Figure => ({ ...common, subject: name, samples: samples.of(name) })),
      { ...common, subject: 'SHA-256 in Node, nothing else', samples: hashing },
      {
        ...common,
        subject: 'TLS, first_fragment_len: 3',
        unit: '× TLS',
        // Runs take turns, so those of the same number belong together.
        samples: cut.map((cost, run) => cost / (tls[run] ?? Number.NaN)),
        goals: [{ bound: 'at most', value: 1.1 }],
      },
    ];
  },
};
