import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { hastyEnvironment } from '../lib/hasty-time.ts';
import { HostedServer, inventoryOf, onlyIn } from '../lib/hosted-server.ts';
import { Puller, Pusher, type World } from '../lib/pushers.ts';
import { Misses, type Row } from '../lib/row.ts';

const PUSHERS = 10;
const PULLERS = 4;
/** Two hours a second: the grace of a day is over in twelve. */
const FACTOR = 7200;
const GRACE_SECONDS = (24 * 3600) / FACTOR;

/**
 * Pushes, mounts, looks, tag moves and deletions beside collections, over kills of the server. What was answered 201 and not deleted is
 * pulled all the while, byte for byte; in the end nothing is there but that.
 */
export const collection: Row = {
  id: 'collection',
  what: `${PUSHERS} pushers, ${PULLERS} pullers, a collection a second, SIGKILL now and then`,
  reach: '0 lost, 0 left behind, no 5xx',
  within: 140,
  async run(stage) {
    const seconds = stage.amount({ short: 45, long: 2 * 3600 });
    const misses = new Misses();
    const users = [...Array.from({ length: PUSHERS }, (_, at) => `pusher${at}`), 'reader'];
    const env = hastyEnvironment(`${Date.now()}*${FACTOR}`);
    const server = new HostedServer(stage, { users, env });
    const counts = { pushes: 0, moves: 0, deletes: 0, mounts: 0, heads: 0, abandoned: 0, pulls: 0, again: 0 };
    const began = performance.now();
    const elapsed = (): number => (performance.now() - began) / 1000;
    const isOver = (): boolean => elapsed() >= seconds || stage.signal.aborted;
    const world: World = { server, misses, counts, isOver, graceMs: GRACE_SECONDS * 1000, hourMs: 3_600_000 / FACTOR };
    const pushers = Array.from({ length: PUSHERS }, (_, at) => new Pusher(world, { at, user: users[at] ?? '' }));
    for (const pusher of pushers) pusher.knows(pushers);
    const pullers = Array.from({ length: PULLERS }, () => new Puller(world, { user: 'reader', pushers }));
    let collected = 0;
    let warned = 0;
    const listen = (): void => {
      const said = server.said();
      collected += said.collected;
      warned += said.warnings.length;
      for (const warning of said.warnings) misses.add(`it warned: ${warning}`);
    };

    async function killNowAndThen(): Promise<void> {
      while (!isOver()) {
        await sleep(randomInt(4000, 10_000));
        stage.progress(`${Math.round(elapsed())} of ${seconds} s: ${counts.pushes} pushes, ${counts.pulls} pulls`);
        if (isOver()) return;
        listen();
        await server.kill();
        await server.start();
      }
    }

    await server.start();
    await Promise.all([...pushers.map((each) => each.run()), ...pullers.map((each) => each.run()), killNowAndThen()]);

    stage.progress('waiting for the graces');
    // A start looks for files without a record, and what the last kill left is over its grace a day later.
    listen();
    await server.kill();
    await server.start();
    await sleep((GRACE_SECONDS + 4) * 1000);
    for (const pusher of pushers) await pusher.expectAll();
    listen();
    misses.expect((await server.stop()) === 0, 'it did not stop cleanly');
    const found = await inventoryOf(server.dir);
    const expected = new Set(pushers.flatMap((pusher) => pusher.expected()));
    const digests = new Set([...expected].map((each) => each.split(' ')[1] ?? ''));
    const lost = [
      onlyIn('files that are lost', digests, found.files),
      onlyIn('records that are lost', expected, found.records),
      onlyIn('links that are missing', expected, found.links),
    ];
    const left = [
      onlyIn('files that nothing names', found.files, digests),
      onlyIn('records that nothing names', found.records, expected),
      onlyIn('links that nothing names', found.links, expected),
      found.unfinished.length === 0
        ? undefined
        : `${found.unfinished.length} unfinished, such as ${found.unfinished[0]}`,
    ];
    for (const each of [...lost, ...left]) if (each !== undefined) misses.add(each);
    const kills = server.lives - 2;
    misses.expect(collected > 0, 'nothing was collected meanwhile');
    return {
      figure: `${Math.round(seconds)} s, ${counts.pushes} pushes, ${counts.pulls} pulls, ${kills} kills, ${collected} collected, ${misses.count} misses`,
      misses: misses.list(),
      figures: { seconds, ...counts, kills, collected, warned, stays: expected.size, files: found.files.size },
      notes: [`the clock of the server runs ${FACTOR} times as fast, by what is loaded before it`],
    };
  },
};
