import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Caller, LiveEvent } from '../../admin/index.ts';
import { shownTo } from './visible.ts';

const seeing = (isSeen: (name: string) => boolean | Promise<boolean>): Caller => ({
  name: 'alice',
  seesAll: false,
  seesClients: false,
  mayPush: () => false,
  sees: ({ registry, repository }) => isSeen(`${registry}/${repository}`),
});
const none = seeing(() => false);
const ENDED: LiveEvent = {
  kind: 'transfer.ended',
  data: { id: '1', registry: 'hub', repository: 'acme/app', outcome: 'committed', bytes: 1 },
};
describe('an event', () => {
  test('of a repository is shown to who may pull from it', async () => {
    assert.equal(shownTo(ENDED, none), undefined);
    assert.equal(
      shownTo(
        ENDED,
        seeing((name) => name === 'hub/acme/app'),
      ),
      ENDED,
    );
    assert.equal(
      await shownTo(
        ENDED,
        seeing(async () => true),
      ),
      ENDED,
    );
    assert.equal(
      await shownTo(
        ENDED,
        seeing(async () => false),
      ),
      undefined,
    );
    assert.equal(shownTo(ENDED, { ...none, seesAll: true }), ENDED);
  });

  test('of no repository is shown to every client', () => {
    const event: LiveEvent = { kind: 'evicted', data: { blobs: 1, freed: 2, left: 3 } };
    assert.equal(shownTo(event, none), event);
  });

  test('of a reload quotes the configuration to an operator alone', () => {
    const event: LiveEvent = { kind: 'reloaded', data: { outcome: 'refused', problems: ['secret'] } };
    assert.deepEqual(shownTo(event, none), { kind: 'reloaded', data: { outcome: 'refused', problems: [] } });
    assert.equal(shownTo(event, { ...none, seesAll: true }), event);
  });
});
