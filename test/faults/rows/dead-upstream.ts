import { setTimeout as sleep } from 'node:timers/promises';
import { buildImage, platformOf } from '../../support/image.ts';
import { Gate } from '../../support/scripted/faults.ts';
import { quantile } from '../lib/process-figures.ts';
import { pull } from '../lib/pull.ts';
import { Misses, type Row } from '../lib/row.ts';
import { blobUrl, manifestUrl, REPOSITORY } from '../lib/stage.ts';

const IMAGES = 20;
const CLIENTS = 3;
const AT_MOST = 2000;
/** For what is not the server's: this suite pulls, serves and measures in one process. */
const GRACE = 300;
const ADDED_AT_MOST = 5;
/** An answer that took longer than this waited for the upstream. */
const WAITED = 500;

/** An upstream that takes connections and never answers, and then takes none, while everything stored goes stale at once. */
export const deadUpstream: Row = {
  id: 'dead',
  what: 'upstream dead: silent, then refusing',
  reach: '100 % of cached pulls, ≤ 2 s once, then ≤ 5 ms added',
  async run(stage) {
    const seconds = stage.amount({ short: 20, long: 600 });
    const upstream = await stage.upstream({ personality: 'quay' });
    const images = Array.from({ length: IMAGES }, (_, i) => {
      const image = buildImage({ seed: `dead ${i}`, layers: [20_000], architectures: ['amd64'] });
      upstream.add(image, REPOSITORY, [`v${i}`]);
      return image;
    });
    const server = await stage.server(upstream, { cache: { tags: { fresh_for: '500ms' } } });
    const misses = new Misses();
    const counts = { pulls: 0, failed: 0, waited: 0 };

    async function timed(url: string, expected: Buffer): Promise<number> {
      const pulled = await pull(url, { expected, timeout: 20_000 });
      counts.pulls += 1;
      if (!pulled.ok) {
        counts.failed += 1;
        misses.add(`${url.split('/').slice(-2).join('/')}: ${pulled.ending}`);
      }
      return pulled.took;
    }

    async function pullImage(i: number): Promise<readonly number[]> {
      const image = images[i] as (typeof images)[number];
      const { manifest, config, layers } = platformOf(image, 'amd64');
      const times = [
        await timed(manifestUrl(server, `v${i}`), image.index.bytes),
        await timed(manifestUrl(server, manifest.digest), manifest.bytes),
      ];
      for (const blob of [config, ...layers]) times.push(await timed(blobUrl(server, blob), blob.bytes));
      return times;
    }

    /** Everybody pulls whatever comes, for a while; what each request took, once the first of each image has been had. */
    async function work(period: number): Promise<readonly number[]> {
      const until = performance.now() + period * 1000;
      const times: number[] = [];
      const clients = Array.from({ length: CLIENTS }, async (_, client) => {
        for (let i = client; performance.now() < until && !stage.signal.aborted; i += CLIENTS) {
          times.push(...(await pullImage(i % IMAGES)));
          await sleep(20);
        }
      });
      await Promise.all(clients);
      return times;
    }

    stage.progress('while it lives');
    for (let i = 0; i < IMAGES; i += 1) await pullImage(i);
    const alive = await work(3);
    counts.pulls = 0;

    stage.progress('it falls silent');
    const silence = new Gate();
    upstream.fault({}, { gate: silence });
    const silent = await work(seconds / 2);
    stage.progress('it refuses');
    await upstream.stop();
    const refusing = await work(seconds / 2);

    const dead = [...silent, ...refusing];
    // Not by spreading: ten minutes are more answers than a call takes arguments.
    const slowest = quantile(dead, 1);
    const atOnce = dead.filter((took) => took < WAITED);
    counts.waited = dead.length - atOnce.length;
    const added = quantile(atOnce, 0.5) - quantile(alive, 0.5);
    const addedAtTheTail = quantile(atOnce, 0.95) - quantile(alive, 0.95);
    misses.expect(slowest <= AT_MOST + GRACE, `one took ${Math.round(slowest)} ms`);
    misses.expect(counts.waited <= CLIENTS, `${counts.waited} answers waited for it, of ${CLIENTS} clients`);
    misses.expect(added <= ADDED_AT_MOST, `${added.toFixed(1)} ms more than before (median)`);
    misses.expect(addedAtTheTail <= ADDED_AT_MOST, `${addedAtTheTail.toFixed(1)} ms more than before (95 %)`);
    const share = (100 * (counts.pulls - counts.failed)) / counts.pulls;
    return {
      figure: `${seconds} s, ${Number(share.toFixed(2))} % of ${counts.pulls}, ${(slowest / 1000).toFixed(1)} s once, then ${signed(added)} ms`,
      misses: misses.list(),
      figures: { seconds, ...counts, slowestMs: slowest, addedMedianMs: added, added95Ms: addedAtTheTail },
      notes: [
        `${counts.waited} of ${counts.pulls} answers waited for it; of the rest, ${signed(added)} ms at the median and ${signed(addedAtTheTail)} ms at 95 %, against answers while it lived`,
      ],
    };
  },
};

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;
}
