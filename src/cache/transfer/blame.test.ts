import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cacheWorld, LIBRARY, readUntilItEnds, settle } from '../../../test/support/cache-world.ts';
import { bodyOf, CuedBody } from '../../../test/support/fake-origin.ts';
import { content, noise } from '../../../test/support/image.ts';
import { diskFull } from '../../../test/support/strict-store.ts';

const BLOB = content('layer', noise('blame', 800_000));

describe('an upstream that sends the rest of a blob', () => {
  test('is given up where it gives another size, and not the one before it', async (t) => {
    const world = await cacheWorld(t);
    world.origin.addBlobs(LIBRARY, BLOB);
    const givenUp: string[] = [];
    world.origin.deliver = ({ offset }) => {
      const from = (upstream: string) => ({ upstream, giveUp: (): void => void givenUp.push(upstream) });
      if (offset > 0) return { body: bodyOf(BLOB.bytes.subarray(offset)), size: BLOB.size + 1, ...from('cold') };
      const body = new CuedBody().send(BLOB.bytes.subarray(0, 200_000));
      body.cut();
      return { body, size: BLOB.size, ...from('hot') };
    };
    const { error } = await readUntilItEnds((await world.cache.blob(LIBRARY, BLOB.digest, {})).reader);
    assert.match(String(error), /cold gives/);
    assert.deepEqual(givenUp, ['cold']);
  });

  test('is not blamed for a wrong digest where others sent what came before, and the disk is full', async (t) => {
    const splitOf = (_: string, upstream: string) => ({
      connections: upstream === 'hub' ? 1 : 4,
      minSegment: 100_000,
      mostOfUpstream: 8,
    });
    const world = await cacheWorld(t, { splitOf });
    world.origin.addBlobs(LIBRARY, BLOB);
    world.origin.upstreams = ['hub', 'mirror'];
    const givenUp: string[] = [];
    const wrong = Buffer.from(BLOB.bytes);
    wrong[250_000] = (wrong[250_000] ?? 0) ^ 1;
    const front = new CuedBody();
    const late = new CuedBody();
    let isFull = false;
    world.origin.deliver = ({ offset, end = BLOB.size - 1, prefer }) => {
      const upstream = prefer === undefined ? 'hub' : 'mirror';
      const body =
        offset === 0
          ? front
          : offset === 300_000 && !isFull
            ? late
            : bodyOf((upstream === 'hub' ? BLOB.bytes : wrong).subarray(offset, end + 1));
      return { body, upstream, size: BLOB.size, giveUp: () => void givenUp.push(upstream) };
    };
    const whole = await world.cache.blob(LIBRARY, BLOB.digest, {});
    const all = readUntilItEnds(whole.reader);
    front.send(BLOB.bytes.subarray(0, 100_000));
    for (let i = 0; i < 20; i += 1) await settle();
    const part = await world.cache.blob(LIBRARY, BLOB.digest, { range: 'bytes=200000-299999' });
    await readUntilItEnds(part.reader);
    front.send(BLOB.bytes.subarray(100_000, 200_000));
    for (let i = 0; i < 20; i += 1) await settle();
    world.store.before = (step) => {
      if (step === 'write') throw diskFull();
    };
    isFull = true;
    late.send(BLOB.bytes.subarray(300_000, 400_000));
    const { error } = await all;
    assert.match(String(error), /have the digest/);
    assert.deepEqual(givenUp, [], 'what came before was not only of the hub');
  });
});
