import assert from 'node:assert/strict';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { ANONYMOUS } from '../access/index.ts';
import type { PullThrough } from '../cache/index.ts';
import type { Origin, OriginList } from '../oci/index.ts';
import { RequestContext } from '../server/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { answerCatalog } from './catalog.ts';

test('the event loop turns while a long list is filtered', async () => {
  const repositories = Array.from({ length: 10_000 }, (_, at) => `team/app-${at}`);
  const list: Partial<OriginList> = {
    bytes: Buffer.from(JSON.stringify({ repositories })),
    mediaType: 'application/json',
    upstream: 'hub',
  };
  const origin: Partial<Origin> = { list: () => Promise.resolve(list as OriginList) };
  // As that of the database, which answers within the turn.
  let looks = 0;
  const visibilities = { isKnownPublic: () => Promise.resolve((looks += 1) % 2 === 0) };
  const request = new IncomingMessage(new Socket());
  Object.assign(request, { method: 'GET', url: '/v2/_catalog' });
  const context = new RequestContext(request, new ServerResponse(request), new Telemetry());
  let mostInOneTurn = 0;
  let before = 0;
  const count = (): void => {
    mostInOneTurn = Math.max(mostInOneTurn, looks - before);
    before = looks;
  };
  let immediate = setImmediate(function turn() {
    count();
    immediate = setImmediate(turn);
  });
  await answerCatalog(
    {
      context,
      repository: { registry: 'docker.io', repository: '' },
      name: {},
      path: { kind: 'catalog' },
      origin: () => Promise.resolve(origin as Origin),
      anonymous: undefined,
    } as unknown as Parameters<typeof answerCatalog>[0],
    { visibilities } as unknown as PullThrough,
    {
      principal: ANONYMOUS,
      isFiltered: true,
      authorize: () => ({ allowed: true, onlyPublic: true, reason: '' }),
    },
  );
  clearImmediate(immediate);
  count();
  assert.equal(looks, 10_000);
  assert.ok(mostInOneTurn <= 512, `${mostInOneTurn} look-ups in one turn`);
});
