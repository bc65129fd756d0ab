import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import fc from 'fast-check';
import { Telemetry } from '../../telemetry/index.ts';
import { ClientLeftError, type RequestContext } from '../exchange/context.ts';
import { Admission, type AdmissionLimits, type Permit } from './admission.ts';
import { OverloadError } from './overload.ts';

const A = '192.0.2.1';
const B = '192.0.2.2';
const C = '192.0.2.3';

/** A door, what it refused, and the order in which those who waited came in. */
function openDoor(limits: AdmissionLimits) {
  const telemetry = new Telemetry();
  const refused: string[] = [];
  const episodes: string[] = [];
  telemetry.on('overload.refused', ({ reason }) => refused.push(reason));
  telemetry.on('overload.began', () => episodes.push('began'));
  telemetry.on('overload.ended', (event) => episodes.push(`ended after ${event.refused}`));
  return { admission: new Admission({ limits, telemetry }), refused, episodes };
}

/** How a request fared that had to wait. */
function follow(visit: Permit): { outcome: string } {
  const followed = { outcome: visit.granted === undefined ? 'in' : 'waits' };
  const inform = async (granted: Promise<void>): Promise<void> => {
    try {
      await granted;
      followed.outcome = 'in';
    } catch (error) {
      followed.outcome = error instanceof OverloadError ? error.reason : (error as Error).name;
    }
  };
  if (visit.granted !== undefined) void inform(visit.granted);
  return followed;
}

async function settle(): Promise<void> {
  for (let granted = 0; granted < 5; granted += 1) await Promise.resolve();
}

describe('places', () => {
  test('without a limit there is one for everybody, and all are counted', () => {
    const { admission } = openDoor({});
    const visits = Array.from({ length: 500 }, () => admission.enter(A));
    assert.equal(admission.inflight, 500);
    for (const visit of visits) visit.release();
    for (const visit of visits) visit.release();
    assert.equal(admission.inflight, 0);
  });

  test('at the limit the next is turned away at once, and is served after one has ended', () => {
    const { admission, refused } = openDoor({ maxInflight: 2, overloadStatus: 503, retryAfter: 1500 });
    const first = admission.enter(A);
    admission.enter(B);
    assert.throws(
      () => admission.enter(C),
      (error: unknown) =>
        error instanceof OverloadError &&
        error.status === 503 &&
        error.retryAfter === 2 &&
        error.reason === 'full' &&
        error.message.includes('2 requests'),
    );
    first.release();
    assert.equal(admission.enter(C).granted, undefined);
    assert.deepEqual(refused, ['full']);
  });

  test('a client has its own limit, and a /64 is one client', () => {
    const { admission, refused } = openDoor({ perClient: { maxInflight: 1 } });
    const visit = admission.enter('2001:db8::1');
    assert.throws(() => admission.enter('2001:db8::2'), OverloadError);
    assert.equal(admission.enter('2001:db8:0:1::1').granted, undefined);
    visit.release();
    assert.equal(admission.enter('2001:db8::3').granted, undefined);
    assert.deepEqual(refused, ['client']);
    assert.equal(admission.overloaded, false, 'that one client has enough is no overload');
  });

  test('other limits hold from now on, and let those in who wait', async () => {
    const { admission } = openDoor({ maxInflight: 1, maxInflightWait: 10_000 });
    const first = admission.enter(A);
    const visit = admission.enter(B);
    const second = follow(visit);
    admission.reconfigure({ maxInflight: 2 });
    await settle();
    assert.equal(second.outcome, 'in');
    assert.throws(() => admission.enter(C), OverloadError);
    admission.reconfigure({ maxInflight: 1 });
    first.release();
    assert.throws(() => admission.enter(C), OverloadError, 'a request that holds a slot keeps it');
    visit.release();
    assert.equal(admission.enter(C).granted, undefined);
  });
});

describe('waiting', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'setInterval'] }));
  afterEach(() => mock.timers.reset());
  const limits = { maxInflight: 1, maxInflightWait: 1000 } as const;

  test('the first in the queue gets the slot that comes free', async () => {
    const { admission } = openDoor(limits);
    const first = admission.enter(A);
    const second = follow(admission.enter(B));
    const third = follow(admission.enter(C));
    assert.equal(admission.waiting, 2);
    first.release();
    await settle();
    assert.deepEqual([second.outcome, third.outcome], ['in', 'waits']);
  });

  test('who waited in vain is turned away', async () => {
    const { admission, refused } = openDoor(limits);
    const first = admission.enter(A);
    const second = follow(admission.enter(B));
    mock.timers.tick(999);
    await settle();
    assert.equal(second.outcome, 'waits');
    mock.timers.tick(1);
    await settle();
    assert.equal(second.outcome, 'timeout');
    first.release();
    assert.deepEqual([admission.inflight, admission.waiting, refused], [0, 0, ['timeout']]);
  });

  test('a client that leaves while waiting frees its place in the queue', async () => {
    const { admission } = openDoor({ ...limits, maxWaiting: 1 });
    const first = admission.enter(A);
    const visit = admission.enter(B);
    const second = follow(visit);
    assert.throws(() => admission.enter(C), OverloadError);
    visit.release();
    const third = follow(admission.enter(C));
    first.release();
    await settle();
    assert.deepEqual([second.outcome, third.outcome], ['ClientLeftError', 'in']);
  });

  test('clients take turns, each with its requests in order', async () => {
    const { admission } = openDoor(limits);
    const order: string[] = [];
    let release = admission.enter(C).release;
    for (const [name, client] of [
      ['a1', A],
      ['a2', A],
      ['a3', A],
      ['b1', B],
      ['b2', B],
    ] as const) {
      const visit = admission.enter(client);
      const serve = async (): Promise<void> => {
        await visit.granted;
        order.push(name);
        release = visit.release;
      };
      void serve();
    }
    for (let served = 0; served < 5; served += 1) {
      release();
      await settle();
    }
    assert.deepEqual(order, ['a1', 'b1', 'a2', 'b2', 'a3']);
  });

  test('a client at its own limit lets others by', async () => {
    const { admission } = openDoor({ maxInflight: 2, maxInflightWait: 1000, perClient: { maxInflight: 1 } });
    admission.enter(A);
    const again = follow(admission.enter(A));
    const other = follow(admission.enter(B));
    await settle();
    assert.deepEqual([again.outcome, other.outcome], ['waits', 'in']);
  });

  test('where the waiting room is taken, who has more of it makes way', async () => {
    const { admission, refused } = openDoor({ ...limits, maxWaiting: 3 });
    admission.enter(C);
    const greedy = [admission.enter(A), admission.enter(A), admission.enter(A)].map(follow);
    const other = follow(admission.enter(B));
    await settle();
    assert.deepEqual([...greedy.map(({ outcome }) => outcome), other.outcome], ['waits', 'waits', 'full', 'waits']);
    assert.throws(() => admission.enter(A), OverloadError);
    // 2 and 1 is as fair as 1 and 2 would be.
    assert.throws(() => admission.enter(B), OverloadError);
    assert.deepEqual(refused, ['full', 'full', 'full']);
  });
});

describe('an exchange', () => {
  function exchangeOf(client: string) {
    const response = Object.assign(new EventEmitter(), { destroyed: false });
    return { context: { client, response } as unknown as RequestContext, response };
  }

  test('holds its slot until its answer is closed', async () => {
    const { admission } = openDoor({ maxInflight: 1 });
    const { context, response } = exchangeOf(A);
    await admission.admit(context);
    await assert.rejects(admission.admit(exchangeOf(B).context), OverloadError);
    response.emit('close');
    response.emit('close');
    assert.equal(admission.inflight, 0);
  });

  test('that is over already takes no slot', async () => {
    const { admission } = openDoor({ maxInflight: 1 });
    const { context, response } = exchangeOf(A);
    response.destroyed = true;
    await assert.rejects(admission.admit(context), ClientLeftError);
    assert.equal(admission.inflight, 0);
  });
});

describe('the rate of a client', () => {
  test('a burst, then as often as it may, with the time until the next', () => {
    let now = 0;
    const clock = mock.method(performance, 'now', () => now);
    try {
      const { admission, refused } = openDoor({ perClient: { requestsPerSecond: 0.5, burst: 2 } });
      admission.enter(A);
      admission.enter(A);
      assert.throws(
        () => admission.enter(A),
        (error: unknown) => error instanceof OverloadError && error.retryAfter === 2 && error.status === 429,
      );
      admission.enter(B);
      now = 1999;
      assert.throws(() => admission.enter(A), OverloadError);
      now = 2001;
      admission.enter(A);
      assert.throws(() => admission.enter(A), OverloadError);
      now = 1e9;
      admission.enter(A);
      admission.enter(A);
      assert.throws(() => admission.enter(A), OverloadError);
      assert.deepEqual(refused, ['rate', 'rate', 'rate', 'rate']);
    } finally {
      clock.mock.restore();
    }
  });
});

describe('the bandwidth of a client', () => {
  test('a second’s worth at once, then as fast as it may, over all its requests', async () => {
    let now = 0;
    const clock = mock.method(performance, 'now', () => now);
    try {
      const { admission } = openDoor({ perClient: { maxBandwidth: 1000 } });
      const open = async (client: string) => {
        const response = Object.assign(new EventEmitter(), { destroyed: false });
        const context = { client, response, throttle: undefined } as unknown as RequestContext;
        await admission.admit(context);
        return (bytes: number) => context.throttle?.(bytes);
      };
      const first = await open(A);
      const second = await open(A);
      const other = await open(B);
      assert.deepEqual([first(600), second(400), first(500), second(500)], [0, 0, 500, 1000]);
      assert.equal(other(1000), 0);
      now = 1500;
      assert.equal(first(500), 0);
      admission.reconfigure({});
      assert.equal((await open(A))(1e9), undefined);
    } finally {
      clock.mock.restore();
    }
  });
});

describe('overload', () => {
  test('begins once, and ends when no request was refused for a while and slots are free', () => {
    let now = 0;
    const clock = mock.method(performance, 'now', () => now);
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    function pass(seconds: number): void {
      for (let second = 0; second < seconds; second += 1) {
        now += 1000;
        mock.timers.tick(1000);
      }
    }
    try {
      const { admission, episodes } = openDoor({ maxInflight: 10 });
      const visits = Array.from({ length: 10 }, () => admission.enter(A));
      assert.equal(admission.overloaded, false, 'to be at the limit is not yet to turn away');
      for (let i = 0; i < 3; i += 1) assert.throws(() => admission.enter(A), OverloadError);
      assert.equal(admission.overloaded, true);
      pass(60);
      assert.equal(admission.overloaded, true, 'quiet, but no room');
      for (const visit of visits) visit.release();
      pass(1);
      assert.equal(admission.overloaded, false);
      assert.deepEqual(episodes, ['began', 'ended after 3']);

      const again = Array.from({ length: 10 }, () => admission.enter(A));
      assert.throws(() => admission.enter(A), OverloadError);
      for (const visit of again) visit.release();
      pass(4);
      assert.equal(admission.overloaded, true, 'slots are free, but a request was refused just now');
      pass(2);
      assert.deepEqual(episodes, ['began', 'ended after 3', 'began', 'ended after 1']);
    } finally {
      mock.timers.reset();
      clock.mock.restore();
    }
  });
});

describe('whatever happens', () => {
  type Step =
    | { readonly kind: 'enter'; readonly client: number }
    | { readonly kind: 'leave'; readonly which: number }
    | { readonly kind: 'pass'; readonly ms: number }
    | { readonly kind: 'limits'; readonly limits: AdmissionLimits };
  const limits = fc.record({
    maxInflight: fc.integer({ min: 0, max: 4 }),
    maxInflightWait: fc.constantFrom(0, 50, 1000),
    maxWaiting: fc.integer({ min: 1, max: 5 }),
    perClient: fc.record({ maxInflight: fc.integer({ min: 0, max: 3 }) }),
  });
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('enter' as const), client: fc.nat({ max: 3 }) }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('leave' as const), which: fc.nat({ max: 40 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 100 }) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('limits' as const), limits }) },
  );

  test('no slot is lost or given twice, no request waits beside a free one, and in the end nothing is left', async () => {
    const property = fc.asyncProperty(limits, fc.array(step, { maxLength: 80 }), async (initial, steps) => {
      mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
      try {
        const { admission } = openDoor(initial);
        let current: AdmissionLimits = initial;
        let lowered = false;
        const here: { visit: Permit; client: number; fate: { outcome: string } }[] = [];
        const count = (outcome: string, client?: number) =>
          here.filter(({ fate, client: own }) => fate.outcome === outcome && (client === undefined || own === client))
            .length;
        for (const each of steps) {
          if (each.kind === 'enter') {
            try {
              const visit = admission.enter(`192.0.2.${each.client}`);
              here.push({ visit, client: each.client, fate: follow(visit) });
            } catch (error) {
              assert.ok(error instanceof OverloadError);
            }
          } else if (each.kind === 'leave' && here.length > 0) {
            const [gone] = here.splice(each.which % here.length, 1);
            gone?.visit.release();
            if (each.which % 2 === 0) gone?.visit.release();
          } else if (each.kind === 'pass') {
            mock.timers.tick(each.ms);
          } else if (each.kind === 'limits') {
            admission.reconfigure(each.limits);
            current = each.limits;
            lowered = true;
          }
          await settle();
          assert.equal(admission.inflight, count('in'));
          assert.equal(admission.waiting, count('waits'));
          const { maxInflight = 0, perClient = {} } = current;
          const most = perClient.maxInflight ?? 0;
          const hasRoom = maxInflight === 0 || admission.inflight < maxInflight;
          if (!lowered && maxInflight > 0) assert.ok(admission.inflight <= maxInflight);
          for (let client = 0; client < 4; client += 1) {
            const own = count('in', client);
            if (!lowered && most > 0) assert.ok(own <= most);
            if (hasRoom && (most === 0 || own < most)) assert.equal(count('waits', client), 0);
          }
        }
        for (const { visit } of here) visit.release();
        assert.deepEqual([admission.inflight, admission.waiting], [0, 0]);
        admission.close();
      } finally {
        mock.timers.reset();
      }
    });
    await fc.assert(property, { numRuns: 300 });
  });
});
