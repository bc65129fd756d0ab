import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { buildImage, platformOf } from '../../support/image.ts';
import { metric } from '../lib/process-figures.ts';
import { pull } from '../lib/pull.ts';
import { Misses, type Row } from '../lib/row.ts';
import { blobUrl, manifestUrl, REPOSITORY } from '../lib/stage.ts';

const YEAR = 365 * 24 * 3600 * 1000;
const JUMPS = [
  { name: 'a year on', shift: YEAR },
  { name: 'a year back', shift: -YEAR },
  { name: 'to 1970', shift: -50 * YEAR },
  { name: 'an hour on', shift: 3600 * 1000 },
  { name: 'back to now', shift: 0 },
] as const;
const IMAGES = 10;

/** A clock that is set, by a year or by fifty, while tokens, tags and the order of eviction all go by it. */
export const clockJumps: Row = {
  id: 'clock',
  what: 'clock jumps: ±1 year, 1970, an hour',
  reach: '0 failed pulls, nothing lost, tags still move',
  async run(stage) {
    const upstream = await stage.upstream();
    const clock = await stage.workspace.file('clock', '0');
    const hook = pathToFileURL(join(import.meta.dirname, '../lib/shifted-clock.ts')).href;
    const server = await stage.server(
      upstream,
      { log: { level: 'info', format: 'json' }, cache: { max_size: '64MiB', tags: { fresh_for: '100ms' } } },
      { env: { NODE_OPTIONS: `--import ${hook}`, FAULTS_CLOCK: clock } },
    );
    const misses = new Misses();
    const counts = { pulls: 0, failed: 0 };
    async function expectPull(what: string, url: string, expected: Buffer): Promise<void> {
      const pulled = await pull(url, { expected, timeout: 20_000 });
      counts.pulls += 1;
      if (pulled.ok) return;
      counts.failed += 1;
      misses.add(`${what}: ${pulled.ending}`);
    }
    const images = Array.from({ length: IMAGES }, (_, i) => {
      const image = buildImage({ seed: `clock ${i}`, layers: [30_000], architectures: ['amd64'] });
      upstream.add(image, REPOSITORY, [`v${i}`]);
      return image;
    });
    async function pullAll(when: string): Promise<void> {
      for (const [i, image] of images.entries()) {
        const { manifest, config, layers } = platformOf(image, 'amd64');
        await expectPull(`${when}, v${i}`, manifestUrl(server, `v${i}`), image.index.bytes);
        await expectPull(`${when}, manifest`, manifestUrl(server, manifest.digest), manifest.bytes);
        for (const blob of [config, ...layers]) await expectPull(`${when}, blob`, blobUrl(server, blob), blob.bytes);
      }
    }

    await pullAll('before');
    await sleep(200);
    let stored = await metric(server.url, 'cache_blobs');
    misses.expect(stored === IMAGES * 4, `${stored} blobs are stored, not ${IMAGES * 4}`);
    const rounds = stage.amount({ short: 1, long: 20 });
    for (let round = 0; round < rounds; round += 1) {
      for (const { name, shift } of JUMPS) {
        stage.progress(name);
        await writeFile(clock, String(shift));
        await sleep(200);
        await expectPull(name, manifestUrl(server, 'v0'), (images[0] as (typeof images)[number]).index.bytes);
        // By its log, as the `Date` of an answer comes from a clock of Node's own.
        const jumped = await comesTrue(() =>
          server.accessLog().some(({ ts }) => Math.abs(Date.parse(String(ts)) - Date.now() - shift) < 5000),
        );
        misses.expect(jumped, `${name}: the clock of the server did not jump`);
        await pullAll(name);
        const now = await metric(server.url, 'cache_blobs');
        misses.expect(now >= stored, `${name}: ${stored - now} blobs were evicted`);
        stored = now;

        const tag = `moving-${round}`;
        const moved = buildImage({ seed: `${tag} ${name}`, layers: [1000], architectures: ['amd64'] });
        upstream.add(moved, REPOSITORY, [tag]);
        await expectPull(`${name}, a tag that moved`, manifestUrl(server, tag), moved.index.bytes);
        await sleep(200);
      }
    }
    misses.expect((await server.stop()) === 0, 'it did not stop cleanly');
    return {
      figure: `${rounds * JUMPS.length} jumps, ${counts.pulls} pulls, ${counts.failed} failed`,
      misses: misses.list(),
      figures: { jumps: rounds * JUMPS.length, ...counts },
      notes: ['the clock is shifted in the process of the server, by what is loaded before it'],
    };
  },
};

async function comesTrue(holds: () => boolean): Promise<boolean> {
  for (let turn = 0; turn < 100; turn += 1) {
    if (holds()) return true;
    await sleep(20);
  }
  return false;
}
