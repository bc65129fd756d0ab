import { existsSync } from 'node:fs';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildImage, platformOf } from '../../support/image.ts';
import { eachOf, pull } from '../lib/pull.ts';
import { Misses, type Row } from '../lib/row.ts';
import { blobUrl, manifestUrl, REPOSITORY, type Stage } from '../lib/stage.ts';

const IMAGES = 4;
/** Three of them start at the same time. */
const READY_WITHIN = 5000;

const LOSSES: readonly {
  readonly name: string;
  /** True: it happens while the server runs. */
  readonly alive?: boolean;
  readonly lose: (dir: string) => Promise<void>;
}[] = [
  { name: 'deleted', lose: (dir) => remove(dir, 'names.db', 'names.db-wal', 'names.db-shm') },
  {
    name: 'deleted with its backup',
    lose: (dir) => remove(dir, 'names.db', 'names.db-wal', 'names.db-shm', 'names.backup.db'),
  },
  { name: 'cut in half', lose: (dir) => truncate(join(dir, 'names.db'), 9000) },
  { name: 'emptied', lose: (dir) => truncate(join(dir, 'names.db'), 0) },
  { name: 'garbage', lose: (dir) => writeFile(join(dir, 'names.db'), Buffer.alloc(65_536, 'garbage ')) },
  {
    name: 'garbage, the backup too',
    lose: async (dir) => {
      await writeFile(join(dir, 'names.db'), Buffer.alloc(65_536, 'garbage '));
      await writeFile(join(dir, 'names.backup.db'), Buffer.alloc(65_536, 'garbage '));
    },
  },
  { name: 'deleted under it', alive: true, lose: (dir) => remove(dir, 'names.db', 'names.db-wal', 'names.db-shm') },
  {
    name: 'garbage under it',
    alive: true,
    lose: (dir) => writeFile(join(dir, 'names.db'), Buffer.alloc(65_536, 'garbage ')),
  },
];

/** The index of what is stored goes, in whatever way; the blobs stay and are worth keeping. */
export const lostDatabase: Row = {
  id: 'database',
  what: 'names database lost or corrupt',
  reach: '0 failed pulls, no blob fetched again',
  async run(stage) {
    const misses = new Misses();
    const counts = { pulls: 0, failed: 0, fetchedAgain: 0 };
    await eachOf(LOSSES, {
      atOnce: 3,
      work: async (loss) => {
        stage.progress(loss.name);
        try {
          await lose(stage, loss, { misses, counts });
        } catch (error) {
          misses.add(`${loss.name}: ${String(error).slice(0, 400)}`);
        }
      },
    });
    return {
      figure: `${LOSSES.length} losses, ${counts.pulls} pulls, ${counts.failed} failed, ${counts.fetchedAgain} blobs again`,
      misses: misses.list(),
      figures: { losses: LOSSES.length, ...counts },
    };
  },
};

interface Findings {
  readonly misses: Misses;
  readonly counts: { pulls: number; failed: number; fetchedAgain: number };
}

async function lose(
  stage: Stage,
  { name, alive = false, lose: strike }: (typeof LOSSES)[number],
  { misses, counts }: Findings,
): Promise<void> {
  const upstream = await stage.upstream();
  const dir = stage.workspace.path(`lost-${name.replaceAll(' ', '-')}`);
  const images = Array.from({ length: IMAGES }, (_, i) => {
    const image = buildImage({ seed: `lost ${i}`, layers: [60_000, 500], architectures: ['amd64'] });
    upstream.add(image, REPOSITORY, [`v${i}`]);
    return image;
  });
  let server = await stage.server(upstream, {}, { dir });

  async function pullAll(when: string): Promise<void> {
    for (const [i, image] of images.entries()) {
      const { manifest, config, layers } = platformOf(image, 'amd64');
      const asked = [
        { what: 'tag', url: manifestUrl(server, `v${i}`), bytes: image.index.bytes },
        { what: 'manifest', url: manifestUrl(server, manifest.digest), bytes: manifest.bytes },
        ...[config, ...layers].map((blob) => ({ what: 'blob', url: blobUrl(server, blob), bytes: blob.bytes })),
      ];
      for (const { what, url, bytes } of asked) {
        const pulled = await pull(url, { expected: bytes, timeout: 20_000 });
        counts.pulls += 1;
        if (pulled.ok) continue;
        counts.failed += 1;
        misses.add(`${name}, ${when}, ${what}: ${pulled.ending}`);
      }
    }
  }

  await pullAll('before');
  if (alive) await strike(dir);
  else {
    misses.expect((await server.stop()) === 0, `${name}: it did not stop cleanly`);
    await strike(dir);
    const began = performance.now();
    server = await stage.server(upstream, {}, { dir });
    const took = performance.now() - began;
    misses.expect(took < READY_WITHIN, `${name}: ready after ${Math.round(took)} ms`);
  }
  const before = upstream.blobBodies().length;
  await pullAll('afterwards');
  const again = upstream.blobBodies().length - before;
  counts.fetchedAgain += again;
  misses.expect(again === 0, `${name}: ${again} blobs were fetched again`);
  await server.stop();
  // Whatever was made of it must be good for the next start.
  server = await stage.server(upstream, {}, { dir });
  await pullAll('after another start');
  misses.expect(existsSync(join(dir, 'names.db')), `${name}: there is no database afterwards`);
  misses.expect((await server.stop()) === 0, `${name}: it did not stop cleanly in the end`);
}

async function remove(dir: string, ...names: readonly string[]): Promise<void> {
  for (const name of names) await rm(join(dir, name), { force: true });
}
