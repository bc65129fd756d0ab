import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startMirror } from '../support/mirror.ts';
import { rawRequest } from '../support/raw-request.ts';

describe('a stop that is announced', { timeout: 60_000 }, () => {
  test('timeouts.drain_delay: not ready, and serving all the same; a second stop ends it', async () => {
    const mirror = await startMirror({ timeouts: { drain_delay: '1h' } });
    const stopped = mirror.app.stop();
    try {
      const ready = await mirror.get('/readyz');
      assert.deepEqual([ready.status, ready.body.toString()], [503, 'not ready']);
      assert.equal((await mirror.get('/healthz')).status, 200);
      assert.equal((await mirror.get('/v2/')).status, 200, 'on a connection that is new');
    } finally {
      await mirror.stop();
    }
    await stopped;
    await assert.rejects(rawRequest(mirror.host, { path: '/v2/' }), { code: 'ECONNREFUSED' });
  });

  test('when it is over, no connection is taken any more', async () => {
    await using mirror = await startMirror({ timeouts: { drain_delay: '50ms' } });
    assert.deepEqual(await mirror.app.stop(), { cut: 0 });
    await assert.rejects(mirror.get('/v2/'), { code: 'ECONNREFUSED' });
  });
});
