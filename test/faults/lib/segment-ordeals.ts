import { rm, statfs, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CountedReads, countReads } from '../../support/counting.ts';
import { check } from '../../support/processes.ts';
import { becomesStored, becomesTidy } from './disk.ts';
import { MiB } from './process-figures.ts';
import { eachOf, type Pulled } from './pull.ts';
import { SETTINGS, type SegmentScene, SIZE, TWICE_AT_MOST } from './segment-scene.ts';
import type { Stage } from './stage.ts';

/** Collects what does not hold in one case. */
export interface Judge {
  expect(holds: boolean, miss: string): void;
  /** Counts a pull, which must have succeeded. */
  expectWhole(pulled: Pulled, when?: string): void;
  /** Counts a pull that had to fail. */
  wasCut(pulled: Pulled): void;
  /** What was read twice of the blob, as a share of it, is little. */
  expectFrugal(twice: number): void;
  expectFrugalOverKill(): void;
}

interface Ordeal {
  readonly name: string;
  readonly play: (scene: SegmentScene, context: { readonly stage: Stage; readonly judge: Judge }) => Promise<void>;
}

/** A disk that holds the blob, as long as no other program fills it. */
const DISK = SIZE + 16 * MiB;

/** What each has a server of its own for. */
export const ORDEALS: readonly Ordeal[] = [
  { name: 'a SIGKILL', play: kill },
  { name: 'a full disk', play: fillDisk },
  { name: 'readers far ahead', play: readAhead },
];

/** The server is killed while segments are open, and started again on what it left. */
async function kill(scene: SegmentScene, { stage, judge }: { stage: Stage; judge: Judge }): Promise<void> {
  const dir = stage.workspace.path(`segments-killed-${scene.chances.below(2 ** 32)}`);
  const registries = { up: scene.config };
  scene.slowDown();
  const asked = scene.asked(1);
  const first = await stage.server({ url: '' }, { registries, ...SETTINGS }, { dir });
  const fatal = Math.floor(SIZE * (0.2 + scene.chances.below(50) / 100));
  scene.drawn.push(`killed after ${fatal} bytes`);
  const pulled = await scene.pull(first, {
    onBytes: (bytes) => {
      if (bytes >= fatal) void asked.then(() => first.process.kill('SIGKILL'));
    },
  });
  first.process.kill('SIGKILL');
  await first.process.exited;
  judge.wasCut(pulled);
  judge.expect(scene.requests > 1, 'no segment was open');
  const second = await stage.server({ url: '' }, { registries, ...SETTINGS }, { dir });
  judge.expectWhole(await scene.pull(second), 'after the kill');
  judge.expectFrugalOverKill();
  judge.expect(await becomesStored(dir, scene.blob), 'it is not stored');
  judge.expect(await becomesTidy(dir), 'something is left in ingest/');
  judge.expect((await second.stop()) === 0, 'it did not stop cleanly');
  await rm(dir, { recursive: true });
}

/** Another program fills the disk while there are holes in the growing file. */
async function fillDisk(scene: SegmentScene, { stage, judge }: { stage: Stage; judge: Judge }): Promise<void> {
  const dir = stage.workspace.path(`segments-full-${scene.chances.below(2 ** 32)}`);
  try {
    await check(['mkdir', '-p', dir]);
    await check(['mount', '-t', 'tmpfs', '-o', `size=${DISK},mode=0700`, 'tmpfs', dir]);
  } catch {
    judge.expect(false, 'a small disk could not be mounted; run as root, where mount(8) is allowed');
    return;
  }
  scene.slowDown();
  const config = { cache: { min_free: 0 }, registries: { up: scene.config }, ...SETTINGS };
  const server = await stage.server({ url: '' }, config, { dir });
  const asked = scene.asked(1);
  const pulling = scene.pull(server);
  await Promise.race([asked, pulling]);
  await sleep(scene.chances.below(500));
  const { bavail, bsize } = await statfs(dir);
  await writeFile(`${dir}/not-ours`, Buffer.alloc(bavail * bsize)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOSPC') throw error;
  });
  const part = await scene.readPart(server, SIZE - 4 * MiB, MiB);
  judge.expect(part === undefined, `${part}`);
  judge.expectWhole(await pulling);
  judge.expectWhole(await scene.pull(server), 'without space');
  judge.expect(await becomesTidy(dir), 'something is left in ingest/');
  judge.expect((await server.stop()) === 0, 'it did not stop cleanly');
  await check(['umount', '--lazy', dir]);
}

/** Several clients follow one transfer, one of which leaves; another reads parts far ahead of it, and a segment breaks off. */
async function readAhead(scene: SegmentScene, context: { stage: Stage; judge: Judge }): Promise<void> {
  const reads = countReads(context.stage.workspace);
  let twice = await readAheadOnce(scene, { ...context, reads });
  if (twice > TWICE_AT_MOST) {
    // A busy machine leaves bytes in the server's buffers.
    const again = countReads(context.stage.workspace);
    await scene.renew({ ...again, readFrom: async () => 0 });
    twice = await readAheadOnce(scene, { ...context, reads: again });
  }
  context.judge.expectFrugal(twice);
}

async function readAheadOnce(
  scene: SegmentScene,
  { stage, judge, reads }: { stage: Stage; judge: Judge; reads: CountedReads },
): Promise<number> {
  const { chances } = scene;
  scene.slowDown();
  const config = { registries: { up: scene.config }, ...SETTINGS };
  const server = await stage.server({ url: '' }, config, { env: reads.env });
  scene.strike({ cutAfter: scene.anywhere() });
  const leave = new AbortController();
  const leavesAt = chances.below(SIZE / 2);
  const begun = Promise.withResolvers<void>();
  const followers = [
    scene.pull(server, { onBytes: () => begun.resolve() }),
    scene.pull(server, { bytesPerSecond: 12 * MiB }),
  ];
  const leaving = scene.pull(server, {
    signal: leave.signal,
    onBytes: (bytes) => {
      if (bytes > leavesAt) leave.abort();
    },
  });
  await begun.promise;
  const parts = Array.from({ length: 30 }, () => {
    const length = 1 + chances.below(MiB);
    return { start: chances.below(SIZE - length), length };
  });
  await eachOf(parts, {
    atOnce: 3,
    work: async ({ start, length }) => {
      const wrong = await scene.readPart(server, start, length);
      judge.expect(wrong === undefined, `a part, ${wrong}`);
    },
  });
  for (const pulled of await Promise.all(followers)) judge.expectWhole(pulled);
  judge.expect(!(await leaving).wrong, 'a complete wrong body for a client that left');
  judge.expect(scene.requests > 1, 'the blob came over one connection');
  const twice = await scene.fetchedTwice(reads);
  judge.expect(await becomesStored(server.dir, scene.blob), 'it is not stored');
  judge.expect((await server.stop()) === 0, 'it did not stop cleanly');
  return twice;
}
