import { rm, statfs, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildImage, type Content, platformOf } from '../../support/image.ts';
import { check } from '../../support/processes.ts';
import { becomesTidy, isStoredRight } from '../lib/disk.ts';
import { MiB } from '../lib/process-figures.ts';
import { eachOf, pull } from '../lib/pull.ts';
import { Misses, type Row, skipped } from '../lib/row.ts';
import { blobUrl, manifestUrl, REPOSITORY } from '../lib/stage.ts';

const DISK = 24 * MiB;
/** A cache that found its disk full leaves it alone for half a minute. */
const BACK_WITHIN = 60_000;

/** A disk smaller than one blob, and then one that another program fills to the last byte. */
export const fullDisk: Row = {
  id: 'full',
  what: 'full disk',
  reach: '100 % of pulls, manifests included; space comes back',
  async run(stage) {
    const dir = stage.workspace.path('small');
    try {
      await check(['mkdir', '-p', dir]);
      await check(['mount', '-t', 'tmpfs', '-o', `size=${DISK},mode=0700`, 'tmpfs', dir]);
    } catch {
      return skipped('a disk of 24 MiB could not be mounted; run as root, where mount(8) is allowed');
    }
    const upstream = await stage.upstream();
    const server = await stage.server(upstream, { cache: { min_free: 0 } }, { dir });
    const misses = new Misses();
    const counts = { pulls: 0, failed: 0 };
    async function expectPull(what: string, url: string, expected: Buffer): Promise<void> {
      const pulled = await pull(url, { expected });
      counts.pulls += 1;
      if (pulled.ok) return;
      counts.failed += 1;
      misses.add(`${what}: ${pulled.ending}`);
    }

    stage.progress('one blob larger than the disk');
    const large = stage.blob(upstream, 64 * MiB);
    await eachOf([1, 2, 3], {
      atOnce: 2,
      work: () => expectPull('64 MiB', blobUrl(server, large), large.bytes),
    });
    upstream.library.remove(REPOSITORY, large.digest);

    stage.progress('another program fills it');
    await fill(dir);
    let pulledUntil = 0;
    const images = stage.amount({ short: 20, long: 500 });
    for (; pulledUntil < images; pulledUntil += 1) {
      const tag = `full-${pulledUntil}`;
      const image = buildImage({ seed: tag, layers: [300_000, 2000], architectures: ['amd64'] });
      upstream.add(image, REPOSITORY, [tag]);
      const { manifest, config, layers } = platformOf(image, 'amd64');
      for (let turn = 0; turn < 2; turn += 1) {
        await expectPull(`tag, turn ${turn + 1}`, manifestUrl(server, tag), image.index.bytes);
        await expectPull('manifest', manifestUrl(server, manifest.digest), manifest.bytes);
        for (const blob of [config, ...layers]) await expectPull('blob', blobUrl(server, blob), blob.bytes);
      }
    }
    misses.expect(await becomesTidy(dir), 'something is left in ingest/');

    stage.progress('the space comes back');
    await rm(`${dir}/not-ours`);
    const began = performance.now();
    let stored: Content | undefined;
    while (stored === undefined && performance.now() - began < BACK_WITHIN) {
      const blob = stage.blob(upstream, 100_000);
      await expectPull('with space', blobUrl(server, blob), blob.bytes);
      await sleep(200);
      if ((await isStoredRight(dir, blob)) === true) stored = blob;
    }
    const back = (performance.now() - began) / 1000;
    misses.expect(stored !== undefined, `nothing was stored within ${BACK_WITHIN / 1000} s`);
    misses.expect((await server.stop()) === 0, 'it did not stop cleanly');
    return {
      figure: `${counts.pulls} pulls, ${counts.failed} failed, caching again after ${Math.round(back)} s`,
      misses: misses.list(),
      figures: { ...counts, backAfterSeconds: back },
    };
  },
};

/** Takes all that is free; whatever the server gives up in the meantime stays free. */
async function fill(dir: string): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  try {
    await writeFile(`${dir}/not-ours`, Buffer.alloc(bavail * bsize));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
