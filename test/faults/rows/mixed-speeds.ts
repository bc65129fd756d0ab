import type { RunningEntrepot } from '../../support/app.ts';
import type { Content } from '../../support/image.ts';
import { descriptorsOf, MiB, memoryOf, quantile } from '../lib/process-figures.ts';
import { type Pulled, pull } from '../lib/pull.ts';
import { Misses, type Row } from '../lib/row.ts';
import { blobUrl } from '../lib/stage.ts';

const SLOW_CLIENTS = 50;
const SLOW = 100 * 1024;
const SIZE = 48 * MiB;
/** Of the upstream's line. */
const LINE = 24 * MiB;
const SLOWER_AT_MOST = 1.3;
const GROWTH_AT_MOST = 48 * MiB;

/** Fifty who read at 100 KiB/s, some of whom vanish, must not hold back one who reads as fast as it comes. */
export const mixedSpeeds: Row = {
  id: 'speeds',
  what: `one fast client with ${SLOW_CLIENTS} slow ones on the same cold blob`,
  reach: `≤ ${SLOWER_AT_MOST} × alone, memory flat`,
  async run(stage) {
    const rounds = stage.amount({ short: 1, long: 10 });
    const upstream = await stage.upstream();
    const server = await stage.server(upstream);
    const misses = new Misses();
    const alone: number[] = [];
    const together: number[] = [];
    const growth: number[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      stage.progress(round === 0 ? 'warming' : `round ${round} of ${rounds}`);
      const single = stage.blob(upstream, SIZE);
      upstream.fault(single.digest, { bytesPerSecond: LINE });
      const first = await pullFast(server, single, misses);
      upstream.library.remove('team/app', single.digest);
      if (round === 0) continue;
      alone.push(first.took);

      const before = memoryOf(server.process.pid)?.now ?? 0;
      const shared = stage.blob(upstream, SIZE);
      upstream.fault(shared.digest, { bytesPerSecond: LINE });
      const leave = new AbortController();
      const slow = Array.from({ length: SLOW_CLIENTS }, (_, i) =>
        pull(blobUrl(server, shared), {
          expected: shared.bytes,
          bytesPerSecond: SLOW,
          signal: i % 5 === 0 ? AbortSignal.any([leave.signal, AbortSignal.timeout(500)]) : leave.signal,
        }),
      );
      let peak = 0;
      const watch = setInterval(() => {
        peak = Math.max(peak, memoryOf(server.process.pid)?.now ?? 0);
      }, 50);
      const fast = await pullFast(server, shared, misses);
      clearInterval(watch);
      together.push(fast.took);
      growth.push(peak - before);
      leave.abort();
      for (const { wrong, ending } of await Promise.all(slow)) misses.expect(!wrong, `a slow client: ${ending}`);
      const asked = upstream.blobBodies(shared.digest).reduce((sum, { bytes }) => sum + bytes, 0);
      misses.expect(asked <= SIZE * 1.1, `the upstream was asked for ${asked} bytes of ${SIZE}`);
      upstream.heal();
      upstream.library.remove('team/app', shared.digest);
    }
    const ratio = quantile(together, 0.5) / quantile(alone, 0.5);
    const grown = Math.max(...growth);
    misses.expect(ratio <= SLOWER_AT_MOST, `it took ${ratio.toFixed(2)} × as long as alone`);
    misses.expect(grown <= GROWTH_AT_MOST, `memory grew by ${Math.round(grown / MiB)} MiB`);
    return {
      figure: `${ratio.toFixed(2)} ×, memory ${grown < 0 ? '' : '+'}${Math.round(grown / MiB)} MiB`,
      misses: misses.list(),
      figures: { ratio, grownBytes: grown, descriptors: descriptorsOf(server.process.pid) },
      notes: [`memory is flat where it grows by less than ${GROWTH_AT_MOST / MiB} MiB, one for each who reads`],
    };
  },
};

async function pullFast(server: RunningEntrepot, blob: Content, misses: Misses): Promise<Pulled> {
  const pulled = await pull(blobUrl(server, blob), { expected: blob.bytes });
  misses.expect(pulled.ok, `the fast client: ${pulled.ending}`);
  return pulled;
}
