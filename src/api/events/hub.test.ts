import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import type { Caller, LiveEvent } from '../../admin/index.ts';
import type { RequestContext } from '../../server/index.ts';
import { ApiProblem } from '../problem.ts';
import { EventHub, type Publish } from './hub.ts';
import { EventStream } from './stream.ts';

const EVICTED: LiveEvent = { kind: 'evicted', data: { blobs: 1, freed: 2, left: 3 } };
const PROGRESS: LiveEvent = {
  kind: 'transfer',
  data: { id: '1', registry: 'hub', repository: 'app', upstream: 'hub', bytes: 1, followers: 0, startedAt: 1 },
};

/** A hub with one source, and clients that keep what they are sent. */
function setUp() {
  const source = { publish: undefined as Publish | undefined, begun: 0, ended: 0 };
  const warnings: string[] = [];
  const hub = new EventHub({
    sources: [
      (publish) => {
        source.publish = publish;
        source.begun += 1;
        return () => {
          source.ended += 1;
          source.publish = undefined;
        };
      },
    ],
    onWarning: (message) => void warnings.push(message),
  });
  function follow({
    lastId,
    mayFollow = async () => true,
    sees,
  }: {
    lastId?: string;
    mayFollow?: () => Promise<boolean>;
    /** @default it sees all */
    sees?: Caller['sees'];
  } = {}) {
    const sent: string[] = [];
    let isEnded = false;
    const response = {
      writableCorked: 1,
      writableLength: 0,
      writeHead: () => {},
      write: (text: string) => void sent.push(text),
      end: () => {
        isEnded = true;
      },
    };
    const context = { id: 'x', bytes: 0, response } as unknown as RequestContext;
    const rights = { seesAll: sees === undefined, seesClients: true, mayPush: () => false };
    const caller = { name: 'alice', ...rights, sees: sees ?? (() => true) };
    const stream = new EventStream({ context, kinds: undefined, caller, idOf: hub.idOf });
    const leave = hub.follow({ stream, client: 'c', mayFollow }, lastId);
    return {
      leave,
      get isEnded() {
        return isEnded;
      },
      text: () => sent.join(''),
    };
  }
  return { hub, source, warnings, follow };
}

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'setInterval'] }));
afterEach(() => mock.timers.reset());

describe('a hub', () => {
  test('listens to its sources while there is a stream, and fifteen seconds longer', () => {
    const { source, follow } = setUp();
    assert.equal(source.begun, 0);
    const [one, other] = [follow(), follow()];
    assert.equal(source.begun, 1);
    one.leave();
    one.leave();
    mock.timers.tick(60_000);
    assert.equal(source.ended, 0);
    other.leave();
    mock.timers.tick(14_999);
    assert.equal(source.ended, 0);
    mock.timers.tick(1);
    assert.deepEqual([source.begun, source.ended], [1, 1]);
    follow();
    assert.equal(source.begun, 2);
  });

  test('gives a client that comes back what it missed, and tells what it did not see itself', () => {
    const { hub, source, follow } = setUp();
    const first = follow();
    const id = /id: (\S+)/.exec(first.text())?.[1] ?? '';
    first.leave();
    source.publish?.(EVICTED);
    source.publish?.(PROGRESS);
    assert.equal(follow({ lastId: id }).text().split('event: evicted').length, 2);
    assert.doesNotMatch(follow({ lastId: id }).text(), /event: (?:gap|transfer)/);
    hub.endAll();
    mock.timers.tick(15_000);
    assert.match(follow({ lastId: id }).text(), /event: gap/);
  });

  test('gives progress no id, since the next says it again', () => {
    const { source, follow } = setUp();
    const { text } = follow();
    const before = text().length;
    source.publish?.(PROGRESS);
    assert.match(text().slice(before), /^event: transfer\ndata: \{.*\}\n\n$/);
    source.publish?.(EVICTED);
    assert.match(text(), /id: \w+-2\nevent: evicted\n/);
  });

  test('gives a sign of life every fifteen seconds, and ends who may no longer follow', async () => {
    const { hub, follow } = setUp();
    let may = true;
    const [kept, other] = [follow(), follow({ mayFollow: async () => may })];
    may = false;
    mock.timers.tick(15_000);
    await hub.check();
    assert.match(kept.text(), /: alive\nid: \S+\n\n$/);
    assert.deepEqual([kept.isEnded, other.isEnded, hub.size], [false, true, 1]);
  });

  test('ends a client of whom it cannot tell whether it may follow', async () => {
    const { hub, warnings, follow } = setUp();
    const client = follow({ mayFollow: () => Promise.reject(new Error('no')) });
    await hub.check();
    assert.deepEqual([client.isEnded, warnings.length], [true, 1]);
  });

  test('sends an event to the others where it cannot be sent to one, and to what publishes it is silent', () => {
    const { source, warnings, follow } = setUp();
    follow({
      sees() {
        throw new Error('no');
      },
    });
    const other = follow();
    source.publish?.(PROGRESS);
    assert.match(other.text(), /event: transfer\n/);
    assert.deepEqual(warnings, ['Cannot send an event to a client that follows events']);
  });

  test('takes no stream once it is closed', () => {
    const { hub, source, follow } = setUp();
    const client = follow();
    hub.close();
    assert.deepEqual([client.isEnded, source.ended, hub.size], [true, 1, 0]);
    assert.throws(
      () => hub.admit('c'),
      (error) => error instanceof ApiProblem && error.status === 503,
    );
    mock.timers.tick(60_000);
    assert.equal(source.ended, 1);
  });
});
