import { pull } from '../lib/pull.ts';
import { Misses, type Row } from '../lib/row.ts';
import { blobUrl } from '../lib/stage.ts';

const CLIENTS = 200;
const SIZE = 4 * 1024 * 1024;

/** Very many ask for a blob that is not cached, and the upstream breaks off in the middle of it. */
export const herd: Row = {
  id: 'herd',
  what: `${CLIENTS} cold clients + a cut at half`,
  reach: '≤ 2 upstream GETs, 0 failed',
  async run(stage) {
    const rounds = stage.amount({ short: 2, long: 20 });
    const upstream = await stage.upstream();
    const server = await stage.server(upstream);
    const misses = new Misses();
    let failed = 0;
    let mostGets = 0;
    for (let round = 0; round < rounds; round += 1) {
      stage.progress(`herd ${round + 1} of ${rounds}`);
      const blob = stage.blob(upstream, SIZE);
      // Slow enough that all of them come while it runs.
      upstream.fault(blob.digest, { cutAt: SIZE / 2, times: 1, bytesPerSecond: SIZE });
      upstream.fault(blob.digest, { bytesPerSecond: SIZE });
      const pulls = await Promise.all(
        Array.from({ length: CLIENTS }, () => pull(blobUrl(server, blob), { expected: blob.bytes })),
      );
      upstream.heal();
      for (const { ok, ending } of pulls) {
        if (ok) continue;
        failed += 1;
        misses.add(ending);
      }
      const gets = upstream.blobBodies(blob.digest).length;
      mostGets = Math.max(mostGets, gets);
      misses.expect(gets <= 2, `the upstream was asked ${gets} times`);
    }
    return {
      figure: `${rounds} × ${CLIENTS}, ≤ ${mostGets} GETs, ${failed} failed`,
      misses: misses.list(),
      figures: { herds: rounds, mostGets, failed },
    };
  },
};
