import { randomInt } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fillCache } from '../../../bench/lib/full-cache.ts';
import type { RunningEntrepot } from '../../support/app.ts';
import type { Content } from '../../support/image.ts';
import type { ScriptedUpstream } from '../../support/scripted-upstream.ts';
import { becomesCounted, becomesStored, isStoredRight, leftOver } from '../lib/disk.ts';
import { quantile } from '../lib/process-figures.ts';
import { type Pulled, pull } from '../lib/pull.ts';
import { Misses, type Row } from '../lib/row.ts';
import { blobUrl, type Stage } from '../lib/stage.ts';

const FILLERS = 10_000;
const READY_WITHIN = 2000;

/** Every place in the sources where a process can be told to die. */
export function crashPoints(): readonly string[] {
  const root = join(import.meta.dirname, '../../../src');
  const files = globSync('**/*.ts', { cwd: root }).filter((file) => !file.endsWith('.test.ts'));
  const points = files.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/crashPoint\('([a-z.-]+)'\)/g)].map(([, point]) => point ?? ''),
  );
  return [...new Set(points)].sort();
}

/** Whether a pull passes a point. What only pushes, backups and restores pass is tried elsewhere. */
function isPassedByPulls(point: string): boolean {
  return /^(?:ingest|commit)\./.test(point);
}

/** The points that a push passes; those of mounts are tried in src/store/blobs/hosted-crash.test.ts. */
export function pushPoints(): readonly string[] {
  return crashPoints().filter((point) => /^(?:ingest|commit|named|layout)\./.test(point) && point !== 'commit.indexed');
}

interface Lives {
  readonly stage: Stage;
  readonly upstream: ScriptedUpstream;
  readonly dir: string;
  readonly misses: Misses;
  /** Milliseconds from the command to the first answer. */
  readonly readyAfter: number[];
  /** Whatever was asked for in any life. */
  readonly all: Content[];
}

/** SIGKILL at random instants of transfers and commits, and at every named point; one directory, with many blobs in it. */
export const kills: Row = {
  id: 'kills',
  what: 'SIGKILL, random instants and named points',
  reach: `0 wrong bytes, 0 orphan files, ready < ${READY_WITHIN / 1000} s with 10,000 blobs`,
  within: 150,
  async run(stage) {
    const random = stage.amount({ short: 40, long: 200 });
    const each = stage.amount({ short: 1, long: 3 });
    const upstream = await stage.upstream();
    const dir = stage.workspace.path('killed');
    const misses = new Misses();
    const lives: Lives = { stage, upstream, dir, misses, readyAfter: [], all: [] };

    stage.progress(`storing ${FILLERS} blobs`);
    await (await stage.server(upstream, {}, { dir })).stop();
    fillCache(dir, FILLERS);

    let known: readonly Content[] = [];
    for (let round = 0; round < random; round += 1) {
      if (round % 5 === 0) stage.progress(`random instant ${round + 1} of ${random}`);
      known = await dieAtRandom(lives, { known, round });
    }
    const points = crashPoints().filter(isPassedByPulls);
    let died = 0;
    for (const point of points) {
      stage.progress(`at ${point}`);
      for (let turn = 0; turn < each; turn += 1) {
        const life = await dieAt(lives, { known, point });
        known = life.known;
        died += life.died ? 1 : 0;
        misses.expect(life.died, `${point} was never reached`);
      }
    }
    stage.progress('asking for everything once more');
    const last = await begin(lives, known);
    // A start looks through what is stored after it has begun to answer.
    const uncounted = (await becomesCounted(dir, { within: 15_000 })).length;
    misses.expect(uncounted === 0, `${uncounted} stored files have no row after a start, and nothing would evict them`);
    for (const blob of lives.all) {
      const pulled = await pull(blobUrl(last, blob), { expected: blob.bytes });
      misses.expect(pulled.ok, `${blob.digest} at the end: ${pulled.ending}`);
    }
    const files = await becomesCounted(dir);
    misses.expect(files.length === 0, `${files.length} of them have none even when asked for, such as ${files[0]}`);
    misses.expect((await last.stop()) === 0, 'the last one did not stop cleanly');
    const median = quantile(lives.readyAfter, 0.5);
    misses.expect(median < READY_WITHIN, `ready after ${Math.round(median)} ms (median)`);
    const slowest = Math.max(...lives.readyAfter);
    return {
      figure: `${random} + ${died} kills (${points.length} points), ${uncounted} orphan files, ${misses.count} misses, ready in ${Math.round(median)} ms`,
      misses: misses.list(),
      figures: {
        random,
        named: died,
        points: points.length,
        readyMedianMs: median,
        readySlowestMs: slowest,
        uncounted,
      },
      notes: [
        ...(uncounted > 0 && files.length === 0 ? ['all of them had their row once they were asked for'] : []),
        `ready: median of ${lives.readyAfter.length} starts, the slowest took ${Math.round(slowest)} ms`,
      ],
    };
  },
};

/** Starts on what the life before left, and looks at it: nothing half, nothing wrong, and everything is to be had. */
async function begin(lives: Lives, known: readonly Content[], crashAt?: string): Promise<RunningEntrepot> {
  const { stage, upstream, dir, misses, readyAfter } = lives;
  const began = performance.now();
  const server = await stage.server(
    upstream,
    {},
    { dir, ...(crashAt === undefined ? {} : { env: { ENTREPOT_CRASH_AT: crashAt } }) },
  );
  const ready = await pull(`${server.url}/readyz`);
  misses.expect(ready.status === 200, `/readyz: ${ready.ending}`);
  if (crashAt === undefined) readyAfter.push(performance.now() - began);
  const left = await leftOver(dir);
  misses.expect(left.length === 0, `left in ingest/: ${left.join(', ')}`);
  for (const blob of known) {
    misses.expect((await isStoredRight(dir, blob)) !== false, `${blob.digest} is stored and wrong`);
    const pulled = await pull(blobUrl(server, blob), { expected: blob.bytes });
    misses.expect(pulled.ok, `${blob.digest} after a kill: ${pulled.ending}`);
  }
  return server;
}

async function dieAtRandom(
  lives: Lives,
  { known, round }: { readonly known: readonly Content[]; readonly round: number },
): Promise<readonly Content[]> {
  const { stage, upstream, misses } = lives;
  const server = await begin(lives, known);
  const blobs = [400_000, 90_000, 1000].map((size) => stage.blob(upstream, size));
  lives.all.push(...blobs);
  const total = blobs.reduce((sum, { size }) => sum + size, 0);
  // Half of the rounds end early, half around the last bytes, where a commit runs.
  const fatal = round % 2 === 0 ? randomInt(total) : total - randomInt(2000);
  const received = new Map<Content, number>();
  const pulls = blobs.map((blob) =>
    pull(blobUrl(server, blob), {
      expected: blob.bytes,
      onBytes: (bytes) => {
        received.set(blob, bytes);
        const sum = [...received.values()].reduce((all, each) => all + each, 0);
        // A moment later, some of the time: the commit goes on after the last byte.
        if (sum >= fatal) setTimeout(() => server.process.kill('SIGKILL'), round % 4 === 3 ? randomInt(20) : 0);
      },
    }),
  );
  expectNothingWrong(await Promise.all(pulls), misses);
  server.process.kill('SIGKILL');
  await server.process.exited;
  return blobs;
}

async function dieAt(
  lives: Lives,
  { known, point }: { readonly known: readonly Content[]; readonly point: string },
): Promise<{ readonly known: readonly Content[]; readonly died: boolean }> {
  const { stage, upstream, misses } = lives;
  const blob = stage.blob(upstream, 600_000);
  lives.all.push(blob);
  // What it is asked for at the start may be enough to die of.
  const server = await begin({ ...lives, misses: new Misses() }, [], point);
  expectNothingWrong([await pull(blobUrl(server, blob), { expected: blob.bytes })], misses);
  const died = await Promise.race([server.process.exited.then(() => true), sleep(2000, false)]);
  server.process.kill('SIGKILL');
  await server.process.exited;
  const next = await begin(lives, [...known, blob]);
  misses.expect(await becomesStored(lives.dir, blob), `${point}: the blob is not stored afterwards`);
  next.process.kill('SIGKILL');
  await next.process.exited;
  return { known: [blob], died };
}

function expectNothingWrong(pulled: readonly Pulled[], misses: Misses): void {
  for (const each of pulled) misses.expect(!each.wrong, `a complete wrong body: ${each.ending}`);
}
