import { pullOverTls } from './lib/clients.ts';
import type { Figure } from './lib/figures.ts';
import { GiB } from './lib/machine.ts';
import { cpuOf } from './lib/process-cpu.ts';
import { type Bench, Samples } from './lib/stage.ts';
import { BESIDE } from './lib/subjects.ts';
import { CA_FILE, startTlsEntrepot, startTlsNginx, type TlsSubject } from './lib/tls-subjects.ts';

/** What Node and OpenSSL choose by themselves. */
const CIPHER = 'TLS_AES_256_GCM_SHA384';

/**
 * CPU seconds a server needs to send a GiB it has over TLS, on one connection that is kept, beside nginx with the same cipher:
 * the price of a pull where no web server stands in front.
 */
export const tlsBlob: Bench = {
  id: 'B17',
  title: 'warm blob over TLS',
  async measure({ settings, origin, progress, ...place }) {
    const blob = await origin.addBlob(settings.size);
    const subjects: readonly TlsSubject[] = [
      await startTlsEntrepot(place, { upstream: origin.url }),
      ...(settings.beside === undefined
        ? []
        : [await startTlsEntrepot(place, { upstream: origin.url, name: BESIDE, checkout: settings.beside })]),
      await startTlsNginx(place, origin.files),
    ].filter((subject) => subject !== undefined);
    const pull = ({ tlsPort: port }: TlsSubject, rounds: number) =>
      pullOverTls({ port, path: blob.path, caFile: CA_FILE, cipher: CIPHER, expected: blob.file, rounds });
    for (const subject of subjects) {
      progress(`filling ${subject.name}`);
      await pull(subject, 2);
    }
    const rounds = Math.ceil((2 * GiB) / settings.size);
    const samples = new Samples();
    for (let run = 1; run <= settings.runs; run++) {
      // Each run begins with the other one.
      for (const subject of run % 2 === 1 ? subjects : subjects.toReversed()) {
        progress(`run ${run} of ${settings.runs}, ${subject.name}`);
        const { cpu, result } = await cpuOf(subject.process.pid, () => pull(subject, rounds));
        samples.add(subject.name, (cpu / result.bytes) * GiB);
      }
    }
    return subjects.map(
      ({ name, peer }): Figure => ({
        bench: 'B17',
        work: `warm blob over TLS, ${CIPHER}, CPU`,
        subject: name,
        unit: 's/GiB',
        samples: samples.of(name),
        ...(peer === undefined ? {} : { peer, note: 'without TLS in the kernel' }),
        ...(name === 'entrepot' ? { goals: [{ bound: 'at most', value: 1.3, of: 'nginx' }] } : {}),
      }),
    );
  },
};
