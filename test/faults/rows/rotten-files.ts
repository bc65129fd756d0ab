import { chmod, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import type { Content } from '../../support/image.ts';
import { becomesStored, blobPath } from '../lib/disk.ts';
import { eachOf, pull } from '../lib/pull.ts';
import { Misses, type Row } from '../lib/row.ts';
import { blobUrl } from '../lib/stage.ts';

/** Ways a stored file goes bad. `alive`: also found while the server that stored it runs, by its size or its kind. */
const ROTS: readonly {
  readonly name: string;
  readonly alive: boolean;
  readonly spoil: (path: string) => Promise<void>;
}[] = [
  { name: 'flip', alive: false, spoil: flip },
  { name: 'truncate', alive: true, spoil: (path) => open(path).then(() => truncate(path, 100)) },
  { name: 'empty', alive: true, spoil: (path) => open(path).then(() => truncate(path, 0)) },
  { name: 'delete', alive: true, spoil: (path) => rm(path) },
  {
    name: 'symlink',
    alive: true,
    spoil: async (path) => {
      await writeFile(`${path}.target`, 'not what you wanted');
      await rm(path);
      await symlink(`${path}.target`, path);
    },
  },
  {
    name: 'directory',
    alive: true,
    spoil: async (path) => {
      await rm(path);
      await mkdir(path);
    },
  },
];

/** Files that go bad under the server, half of them while it is down and half while it runs. */
export const rottenFiles: Row = {
  id: 'rot',
  what: 'rotten files (flip, truncate, empty, delete, swapped)',
  reach: '0 complete wrong bodies, all healed',
  async run(stage) {
    const count = stage.amount({ short: 100, long: 1000 });
    const upstream = await stage.upstream();
    const dir = stage.workspace.path('rotten');
    const misses = new Misses();
    stage.progress('filling the cache');
    const first = await stage.server(upstream, {}, { dir });
    // Some are larger than what is verified before the first byte goes out.
    const blobs = Array.from({ length: count }, (_, i) => stage.blob(upstream, i % 10 === 0 ? 6_000_000 : 50_000));
    await eachOf(blobs, {
      atOnce: 4,
      work: async (blob) => {
        const pulled = await pull(blobUrl(first, blob), { expected: blob.bytes });
        misses.expect(pulled.ok, `filling: ${pulled.ending}`);
      },
    });
    await first.stop();

    const found = { wrong: 0, unnoticed: 0, healed: 0 };
    const isAlive = (i: number): boolean => i % 2 === 1 && rotOf(i).alive;
    stage.progress('while it is down');
    for (const [i, blob] of blobs.entries()) if (!isAlive(i)) await rotOf(i).spoil(blobPath(dir, blob));
    const server = await stage.server(upstream, {}, { dir });
    for (const [i, blob] of blobs.entries()) {
      if (i % 20 === 0) stage.progress(`${i} of ${count}`);
      const { name, spoil } = rotOf(i);
      if (isAlive(i)) {
        await pull(blobUrl(server, blob), { expected: blob.bytes });
        await spoil(blobPath(dir, blob));
      }
      await heal(blob, name);
    }

    async function heal(blob: Content, name: string): Promise<void> {
      for (let turn = 0; turn < 3; turn += 1) {
        const pulled = await pull(blobUrl(server, blob), { expected: blob.bytes });
        if (pulled.wrong) {
          found.wrong += 1;
          misses.add(`${name}: a complete wrong body, ${pulled.ending}`);
        }
        if (pulled.ok) {
          if (turn === 0) found.unnoticed += 1;
          break;
        }
        misses.expect(turn < 2, `${name}: ${pulled.ending}`);
      }
      if (await becomesStored(dir, blob)) found.healed += 1;
      else misses.add(`${name}: the file is not right afterwards`);
    }

    return {
      figure: `${count} files, ${found.wrong} wrong bodies, ${found.healed} healed`,
      misses: misses.list(),
      figures: { files: count, ...found },
      notes: [`${found.unnoticed} of ${count} clients noticed nothing; the others were cut and had it the next time`],
    };
  },
};

function rotOf(i: number): (typeof ROTS)[number] {
  // By pairs, so that each kind comes both while the server is down and while it runs.
  return ROTS[Math.floor(i / 2) % ROTS.length] as (typeof ROTS)[number];
}

/** Stored files are read-only, which holds for everybody but root. */
function open(path: string): Promise<void> {
  return chmod(path, 0o600);
}

async function flip(path: string): Promise<void> {
  await open(path);
  const bytes = await readFile(path);
  const at = Math.floor(bytes.length * 0.7);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(path, bytes);
}
