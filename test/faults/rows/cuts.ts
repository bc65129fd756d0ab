import { randomInt } from 'node:crypto';
import { becomesStored, becomesTidy } from '../lib/disk.ts';
import { eachOf, pull } from '../lib/pull.ts';
import { Misses, type Row } from '../lib/row.ts';
import { blobUrl } from '../lib/stage.ts';

const SIZE = 1024 * 1024;

/** Connections that break in the middle of a blob, wherever that is; every fifth upstream does not understand Range either. */
export const cuts: Row = {
  id: 'cuts',
  what: 'upstream cut mid-blob, random offsets',
  reach: '0 failed pulls',
  async run(stage) {
    const count = stage.amount({ short: 100, long: 1000 });
    const upstream = await stage.upstream();
    const server = await stage.server(upstream);
    const misses = new Misses();
    let failed = 0;
    const offsets = Array.from({ length: count }, () => randomInt(SIZE));
    await eachOf(offsets, {
      atOnce: 4,
      work: async (offset, i) => {
        if (i % 20 === 0) stage.progress(`${i} of ${count}`);
        const blob = stage.blob(upstream, SIZE);
        const heal = upstream.fault(blob.digest, { cutAt: offset, times: 1 });
        const deafen = i % 5 === 4 ? upstream.fault(blob.digest, { ignoreRange: true }) : undefined;
        const pulled = await pull(blobUrl(server, blob), { expected: blob.bytes });
        if (!pulled.ok) {
          failed += 1;
          misses.add(`cut at ${offset}${deafen === undefined ? '' : ', no Range'}: ${pulled.ending}`);
        } else misses.expect(await becomesStored(server.dir, blob), `cut at ${offset}: not stored`);
        heal();
        deafen?.();
        upstream.library.remove('team/app', blob.digest);
      },
    });
    misses.expect(await becomesTidy(server.dir), 'something is left in ingest/');
    return { figure: `${count} pulls, ${failed} failed`, misses: misses.list(), figures: { pulls: count, failed } };
  },
};
