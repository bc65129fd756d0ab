import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HttpError } from '../net/index.ts';
import { Telemetry, type UpstreamRequestEnded } from '../telemetry/index.ts';
import { published } from './exchange.ts';

test('a request without an answer has no body that is still to come', async () => {
  const telemetry = new Telemetry();
  const events: UpstreamRequestEnded[] = [];
  telemetry.on('upstream.request', (event) => events.push(event));
  const failed = published(
    {
      context: { telemetry } as never,
      httpRequest: { method: 'GET', url: new URL('http://down.test/v2/') },
      registry: 'up',
      upstream: 'down',
      purpose: 'api',
      request: 'r-1',
      repository: 'team/app',
    },
    {
      send: () => Promise.reject(new HttpError('refused', 'nothing listens there')),
      blockedBy: () => undefined,
    },
  );
  await assert.rejects(failed, HttpError);
  assert.deepEqual(
    events.map(({ status, body }) => ({ status, isOver: body?.isOver })),
    [{ status: 0, isOver: true }],
  );
});
