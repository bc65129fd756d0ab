import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OpenOnce } from './open-once.ts';

describe('OpenOnce', () => {
  test('opens at the first call, once for all callers', async () => {
    let times = 0;
    const upstreams = new OpenOnce(async () => {
      times += 1;
      return 'open';
    });
    assert.equal(times, 0);
    assert.equal(upstreams.opened, undefined);
    assert.deepEqual(await Promise.all([1, 2].map(() => upstreams.get())), ['open', 'open']);
    assert.equal(times, 1);
    assert.equal(upstreams.opened, 'open');
    upstreams.close();
  });

  test('tries again where it could not be opened', async () => {
    let times = 0;
    const upstreams = new OpenOnce(async () => {
      times += 1;
      if (times === 1) throw new Error('no file');
      return 'open';
    });
    await assert.rejects(upstreams.get(), /no file/);
    assert.equal(await upstreams.get(), 'open');
    upstreams.close();
  });

  test('opens by itself a second later', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const opened = Promise.withResolvers<void>();
    const upstreams = new OpenOnce(async () => opened.resolve());
    t.mock.timers.tick(1000);
    await opened.promise;
    upstreams.close();
  });
});
