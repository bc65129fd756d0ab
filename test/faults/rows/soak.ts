import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildImage, platformOf, type TestImage } from '../../support/image.ts';
import type { Fault } from '../../support/scripted/faults.ts';
import type { ScriptedUpstream } from '../../support/scripted-upstream.ts';
import { leftOver } from '../lib/disk.ts';
import { descriptorsOf, MiB, type SweptMemory, slopeOf, sweptMemoryOf } from '../lib/process-figures.ts';
import { type Pulled, pull } from '../lib/pull.ts';
import { Misses, type Row } from '../lib/row.ts';
import { blobUrl, manifestUrl, REPOSITORY } from '../lib/stage.ts';

const IMAGES = 40;
const CLIENTS = 6;
/** A third of what the images have together, so that something always has to go. */
const MAX_SIZE = 5 * MiB;
const FAULTY = 0.01;
const TRIES = 4;
/** Below this many seconds a slope says nothing about an hour; the growth itself is looked at instead. */
const SLOPE_FROM = 1200;
const SLOPE_AT_MOST = 1 * MiB;
/** Of what stays after a sweep: caches fill up to their bounds, and code is compiled. */
const GROWTH_AT_MOST = 4 * MiB;
const SWEEPER = new URL('../lib/swept-memory.ts', import.meta.url).href;

/** What may befall one blob, once. */
const FAULTS: readonly ((size: number) => Fault)[] = [
  (size) => ({ cutAt: randomInt(size), times: 1 }),
  (size) => ({ stallAt: randomInt(size), times: 1 }),
  (size) => ({ flipAt: randomInt(size), times: 1 }),
  (size) => ({ endAt: randomInt(size), times: 1 }),
  () => ({ status: 503, times: 1 }),
  () => ({ reset: true, times: 1 }),
];

/** Pulls of everything by some, for long, while one blob in a hundred fails on its way and the cache is too small. */
export const soak: Row = {
  id: 'soak',
  what: 'soak, mixed with 1 % faults and eviction',
  reach: 'memory slope < 1 MiB/h, descriptors flat, no temp files',
  within: 120,
  async run(stage) {
    const seconds = stage.amount({ short: 60, long: 3600 });
    const upstream = await stage.upstream({ personality: 'quay' });
    const images = Array.from({ length: IMAGES }, (_, i) => {
      const image = buildImage({ seed: `soak ${i}`, layers: [200_000, 60_000, 4000], architectures: ['amd64'] });
      upstream.add(image, REPOSITORY, [`v${i}`]);
      return image;
    });
    const memoryFile = stage.workspace.path('memory.json');
    const server = await stage.server(
      upstream,
      {
        cache: { max_size: MAX_SIZE, tags: { fresh_for: '2s' } },
        transport: { body_idle_timeout: '1s', idle_conn_timeout: '1s' },
      },
      { env: { NODE_OPTIONS: `--import ${SWEEPER}`, FAULTS_MEMORY: memoryFile } },
    );
    const { pid } = server.process;
    const misses = new Misses();
    const counts = { pulls: 0, again: 0, faults: 0 };

    async function pullAgain(url: string, expected: Buffer): Promise<void> {
      let pulled: Pulled | undefined;
      for (let turn = 0; turn < TRIES; turn += 1) {
        // As clients do: at once, and then a little later each time.
        if (turn > 0) await sleep(200 * 2 ** turn);
        pulled = await pull(url, { expected, timeout: 20_000 });
        counts.pulls += 1;
        misses.expect(!pulled.wrong, `a complete wrong body: ${pulled.ending}`);
        if (pulled.ok) return;
        counts.again += 1;
      }
      misses.add(`${url.split('/').slice(-2).join('/')}, ${TRIES} times: ${pulled?.ending}`);
    }

    async function pullImage(image: TestImage, tag: string): Promise<void> {
      const { manifest, config, layers } = platformOf(image, 'amd64');
      await pullAgain(manifestUrl(server, tag), image.index.bytes);
      await pullAgain(manifestUrl(server, manifest.digest), manifest.bytes);
      for (const blob of [config, ...layers]) {
        const heal = Math.random() < FAULTY ? strike(upstream, blob) : undefined;
        counts.faults += heal === undefined ? 0 : 1;
        await pullAgain(blobUrl(server, blob), blob.bytes);
        heal?.();
      }
    }

    for (const [i, image] of images.entries()) await pullImage(image, `v${i}`);
    await sleep(1500);
    const descriptors = descriptorsOf(pid);
    const began = performance.now();
    const elapsed = (): number => (performance.now() - began) / 1000;
    const memory: (readonly [number, SweptMemory])[] = [];
    const over = new AbortController();
    // While memory is looked at there are no pulls: what is on its way is held too, and says nothing of what stays.
    const traffic: { pause?: Promise<void> | undefined; busy: number } = { busy: 0 };
    async function watch(): Promise<void> {
      const every = seconds > 600 ? 10_000 : 2000;
      while (!over.signal.aborted) {
        const { promise, resolve } = Promise.withResolvers<void>();
        traffic.pause = promise;
        while (traffic.busy > 0) await sleep(20);
        const swept = await sweptMemoryOf(pid, memoryFile);
        traffic.pause = undefined;
        resolve();
        if (swept === undefined) misses.add('it did not say what its memory holds');
        else memory.push([elapsed(), swept]);
        // What was asked is not looked at here, and would grow.
        upstream.forget();
        stage.progress(`${Math.round(elapsed())} of ${seconds} s, ${counts.pulls} pulls, ${counts.faults} faults`);
        await sleep(every, undefined, { signal: over.signal }).catch(() => {});
      }
    }
    const watching = watch();
    try {
      const clients = Array.from({ length: CLIENTS }, async () => {
        while (elapsed() < seconds && !stage.signal.aborted) {
          // Some images are wanted far more often than others.
          const i = Math.floor(IMAGES * Math.random() ** 2);
          await traffic.pause;
          traffic.busy += 1;
          await pullImage(images[i] as TestImage, `v${i}`);
          traffic.busy -= 1;
          await sleep(25);
        }
      });
      await Promise.all(clients);
    } finally {
      over.abort();
      await watching;
    }
    await sleep(1500);
    const more = descriptorsOf(pid) - descriptors;
    const left = await leftOver(server.dir);
    // Not the first third, in which caches fill.
    const settled = memory.slice(Math.floor(memory.length / 3));
    const live = lowest(settled.map(([at, swept]) => [at, swept.live]));
    const slope = slopeOf(live) * 3600;
    const half = Math.ceil(live.length / 2);
    const least = (part: typeof live): number => Math.min(...part.map(([, bytes]) => bytes));
    const grown = least(live.slice(half)) - least(live.slice(0, half));
    misses.expect(more <= 2, `${more} more descriptors than before`);
    misses.expect(left.length === 0, `left in ingest/: ${left.length}`);
    const isLong = seconds >= SLOPE_FROM;
    if (isLong) misses.expect(slope < SLOPE_AT_MOST, `memory grows by ${(slope / MiB).toFixed(1)} MiB an hour`);
    else misses.expect(grown < GROWTH_AT_MOST, `what stays in memory grew by ${(grown / MiB).toFixed(1)} MiB`);
    misses.expect((await server.stop()) === 0, 'it did not stop cleanly');
    const rise = isLong ? `${(slope / MiB).toFixed(2)} MiB/h` : `+${(grown / MiB).toFixed(1)} MiB (slope not judged)`;
    return {
      figure: `${Math.round(seconds)} s, ${counts.pulls} pulls, ${misses.count} misses; memory ${rise}, descriptors ${more < 0 ? '' : '+'}${more}`,
      misses: misses.list(),
      figures: {
        seconds,
        ...counts,
        liveMiB: thinned(memory)
          .map(([, swept]) => (swept.live / MiB).toFixed(1))
          .join(' '),
        heapMiB: thinned(memory)
          .map(([, swept]) => (swept.heap / MiB).toFixed(1))
          .join(' '),
        residentMiB: thinned(memory)
          .map(([, swept]) => Math.round(swept.resident / MiB))
          .join(' '),
        slopeBytesPerHour: slope,
        grownBytes: grown,
        descriptors: more,
        left: left.length,
      },
      notes: isLong
        ? []
        : [
            `${seconds} s say nothing about an hour: here what stays in memory may grow by ${GROWTH_AT_MOST / MiB} MiB; the slope is judged from ${SLOPE_FROM / 60} minutes on`,
          ],
    };
  },
};

function strike(upstream: ScriptedUpstream, blob: { readonly digest: string; readonly size: number }): () => void {
  const fault = FAULTS[randomInt(FAULTS.length)] as (typeof FAULTS)[number];
  return upstream.fault({ reference: blob.digest, method: 'GET' }, fault(blob.size));
}

/** The lowest of each of eight windows: what runs at the moment of a sweep is held too, and only what stays can grow for ever. */
function lowest(points: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  const size = Math.max(1, Math.ceil(points.length / 8));
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) =>
    points.slice(i * size, (i + 1) * size).reduce((low, point) => (point[1] < low[1] ? point : low)),
  );
}

/** At most sixty points, evenly spread. */
function thinned<T>(points: readonly T[]): readonly T[] {
  const step = Math.ceil(points.length / 60);
  return points.filter((_, i) => i % step === 0);
}
