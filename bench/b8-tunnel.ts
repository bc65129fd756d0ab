import { pullAll } from './lib/clients.ts';
import type { Figure, Goal } from './lib/figures.ts';
import { GiB } from './lib/machine.ts';
import { cpuOf } from './lib/process-cpu.ts';
import type { Via } from './lib/road.ts';
import { startTlsOrigin } from './lib/sites.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { type Subject, startEntrepot, startSquid } from './lib/subjects.ts';

interface Work {
  readonly work: string;
  /** What squid is not measured at, it does not do. */
  readonly subjects: readonly { readonly subject: Subject; readonly url: string; readonly via: Via }[];
  readonly goals?: readonly Goal[];
}

/**
 * CPU seconds a forward proxy needs to carry a GiB: through a tunnel, asked in absolute form, and out of a tunnel that is
 * looked into, from the host and from the cache.
 */
export const tunnel: Bench = {
  id: 'B8',
  title: 'forward proxy',
  async measure({ settings, origin, progress, ...place }) {
    const blob = await origin.addBlob(settings.size);
    const secure = await startTlsOrigin(place.workspace, blob);
    const hosts = [origin.url, secure.url].map((url) => new URL(url));
    const forward = {
      enabled: true,
      allowed_hosts: ['127.0.0.1', 'localhost'],
      allow_private: ['127.0.0.1', 'localhost'],
      ports: hosts.map(({ port }) => Number(port)),
    };
    const common = { upstream: origin.url };
    const transport = { ca_file: secure.caFile };
    const plain = await startEntrepot(place, { ...common, config: { forward_proxy: forward } });
    const mitm = await startEntrepot(place, {
      ...common,
      name: 'entrepot, decrypting',
      config: {
        transport,
        registries: { [`localhost:${new URL(secure.registryUrl).port}`]: { upstreams: [secure.registryUrl] } },
        default_registry: `localhost:${new URL(secure.registryUrl).port}`,
        forward_proxy: {
          ...forward,
          ports: [...forward.ports, Number(new URL(secure.registryUrl).port)],
          mitm: { enabled: true },
        },
      },
    });
    const ca = await (await fetch(`${mitm.url}/ca.crt`)).text();
    const squid = await startSquid(place);
    const both = [plain, squid].filter((subject) => subject !== undefined);
    const through = (kind: Via['kind'], url: string) =>
      both.map((subject) => ({ subject, url, via: { kind, url: subject.url } }));
    const decrypted: Via = { kind: 'connect', url: mitm.url, ca };
    const works: readonly Work[] = [
      {
        work: 'CONNECT tunnel, CPU',
        subjects: through('connect', origin.url),
        goals: [{ bound: 'at most', value: 1.5, of: 'squid' }],
      },
      {
        work: 'absolute form, CPU',
        subjects: through('absolute', origin.url),
        goals: [{ bound: 'at most', value: 1.5, of: 'squid' }],
      },
      { work: 'decrypted tunnel, streamed, CPU', subjects: [{ subject: mitm, url: secure.url, via: decrypted }] },
      { work: 'decrypted tunnel, warm, CPU', subjects: [{ subject: mitm, url: secure.registryUrl, via: decrypted }] },
    ];
    const rounds = Math.max(1, Math.ceil(GiB / settings.size));
    const figures: Figure[] = [];
    for (const { work, subjects, goals } of works) {
      const samples = new Samples();
      // The first pull warms the code, and fills the cache where there is one.
      for (let run = 0; run <= settings.runs; run++) {
        for (const { subject, url, via } of subjects) {
          progress(`${work}: ${run === 0 ? 'warming' : `run ${run} of ${settings.runs},`} ${subject.name}`);
          const { cpu, result } = await cpuOf(subject.process.pid, () =>
            pullAll({ url: `${url}${blob.path}`, expected: blob.file, rounds: run === 0 ? 1 : rounds, via }),
          );
          if (run > 0) samples.add(subject.name, (cpu / result.bytes) * GiB);
        }
      }
      for (const { subject } of subjects) {
        const { name, peer } = subject;
        figures.push({
          bench: 'B8',
          work,
          subject: name,
          unit: 's/GiB',
          samples: samples.of(name),
          ...(peer === undefined ? (goals === undefined ? {} : { goals }) : { peer }),
        });
      }
    }
    return figures;
  },
};
