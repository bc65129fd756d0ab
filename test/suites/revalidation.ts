import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { settle } from '../support/cache-world.ts';
import { Gate } from '../support/fake-origin.ts';

/** How the origin fails. */
export type Failing = 'unavailable' | 'throttled' | 'denied' | 'not-found';

/** What the origin does with a question: undefined, it answers as it should. */
export interface Reply {
  readonly fails?: Failing;
  /** Seconds, with a failure. */
  readonly retryAfter?: number;
}

/** What a request was served. */
export interface Served {
  /** The outcome of the cache, or how the request failed. */
  readonly outcome: string;
  readonly content: 'old' | 'new' | undefined;
  readonly warning: string | undefined;
}

export interface RevalidationRequest {
  /** Which of the keys of one registry or site. @default 'one' */
  readonly key?: string;
  /** True: only the head is wanted. @default false */
  readonly head?: boolean;
  readonly signal?: AbortSignal;
}

export interface StageOptions {
  /** Milliseconds. @default 0, which asks each time */
  readonly freshFor?: number;
  /** Milliseconds. @default 30 */
  readonly staleAfter?: number;
}

/** A cache with the old content of the keys `one` and `other` stored, and an origin that does as it is told. */
export interface RevalidationStage {
  readonly clock: { now: number };
  request(request?: RevalidationRequest): Promise<Served>;
  /** What the origin does from now on; what it waits for, the answer waits for. */
  play(reply: () => Reply | undefined | Promise<Reply | undefined>): void;
  /** Questions since the content was stored. */
  questions(): number;
  /** Lets the origin have new content. */
  move(): void;
}

export interface RevalidationSubject {
  readonly stage: (t: TestContext, options?: StageOptions) => Promise<RevalidationStage>;
  /** True: a head-only question brings enough for a full request that joins it. */
  readonly headIsEnough: boolean;
  /** How long "not found" is remembered; `never`: the origin's own answer is passed on each time. */
  readonly notFound: 'for 10 s' | 'never';
}

const MINUTE = 60_000;

/** What clients see of freshness, stale answers, back-off, coalescing and negative answers, whatever a record is. */
export function revalidationSuite(kind: string, subject: RevalidationSubject): void {
  const { stage } = subject;
  const fail = (fails: Failing, retryAfter?: number) => () => ({
    fails,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });

  /** Seconds, of the given ones, after which the origin is asked again. */
  async function askedAfter(world: RevalidationStage, seconds: number): Promise<boolean> {
    const before = world.questions();
    world.clock.now += seconds * 1000;
    await world.request();
    await settle();
    return world.questions() > before;
  }

  describe(`revalidation of ${kind}: freshness`, () => {
    test('a fresh answer is served without asking', async (t) => {
      const world = await stage(t, { freshFor: MINUTE });
      world.play(fail('unavailable'));
      world.clock.now += MINUTE - 1;
      for (const head of [false, true]) assert.equal((await world.request({ head })).outcome, 'HIT');
      assert.equal(world.questions(), 0);
    });

    test('an expired answer is asked for once, for all who wait', async (t) => {
      const world = await stage(t, { freshFor: MINUTE });
      world.clock.now += MINUTE;
      const gate = new Gate();
      world.play(() => gate.pass().then(() => undefined));
      const served = Array.from({ length: 5 }, () => world.request());
      await gate.reached;
      gate.open();
      for (const each of await Promise.all(served)) assert.equal(each.content, 'old');
      assert.equal(world.questions(), 1);
      assert.equal((await world.request()).outcome, 'HIT');
    });

    test('a clock that is set back ends freshness', async (t) => {
      const world = await stage(t, { freshFor: MINUTE });
      world.clock.now -= 1;
      assert.equal((await world.request()).outcome, 'REVALIDATED');
    });
  });

  describe(`revalidation of ${kind}: a slow origin`, () => {
    test('is waited for so long and no longer; the question goes on, and its answer counts', async (t) => {
      const world = await stage(t);
      const gate = new Gate();
      world.play(() => gate.pass().then(() => undefined));
      const late = await world.request();
      assert.deepEqual([late.outcome, late.content], ['STALE', 'old']);
      assert.match(String(late.warning), /has not answered within 0\.03 s; serving what .* said before/);
      world.move();
      gate.open();
      for (let turn = 0; turn < 50; turn += 1) await settle();
      world.play(() => undefined);
      assert.equal((await world.request()).content, 'new');
    });

    test('delays one request, and no other of its keys', async (t) => {
      const world = await stage(t, { staleAfter: 400 });
      const gate = new Gate();
      world.play(() => gate.pass().then(() => ({ fails: 'unavailable' })));
      await world.request();
      const startedAt = performance.now();
      for (const key of ['one', 'other', 'other']) {
        for (const head of [false, true]) {
          const served = await world.request({ key, head });
          assert.equal(served.outcome, 'STALE');
          assert.match(String(served.warning), /has not answered lately/);
        }
      }
      assert.ok(performance.now() - startedAt < 300, 'nothing waited');
      assert.equal(world.questions(), 2, 'both keys are asked for in the background, once');
      gate.open();
      await settle();
    });

    test('is waited for again where the clock was set back, and once it has answered', async (t) => {
      const world = await stage(t);
      const gate = new Gate();
      world.play(() => gate.pass().then(() => undefined));
      await world.request();
      gate.open();
      await settle();
      world.play(() => undefined);
      assert.equal((await world.request({ key: 'other' })).outcome, 'REVALIDATED', 'it has answered');
      const again = new Gate();
      world.play(() => again.pass().then(() => undefined));
      await world.request();
      world.clock.now -= 1;
      assert.match(String((await world.request({ key: 'other' })).warning), /has not answered within/);
      again.open();
      await settle();
    });
  });

  describe(`revalidation of ${kind}: an origin that fails`, () => {
    test('leaves the stored answer, and is asked again after 5 s, doubling to 5 min', async (t) => {
      const world = await stage(t);
      world.play(fail('unavailable'));
      const served = await world.request();
      assert.deepEqual([served.outcome, served.content], ['STALE', 'old']);
      assert.match(String(served.warning), /serving what .* said before/);
      for (const seconds of [5, 10, 20, 40, 80, 160, 300, 300]) {
        assert.equal(await askedAfter(world, seconds - 0.001), false, `asked before ${seconds} s`);
        assert.equal(await askedAfter(world, 0.001), true, `not asked after ${seconds} s`);
      }
      world.clock.now += 5 * MINUTE;
      world.play(() => undefined);
      assert.equal((await world.request()).outcome, 'REVALIDATED');
      world.play(fail('unavailable'));
      await world.request();
      assert.equal(await askedAfter(world, 5), true, 'an answer clears the failures');
    });

    test('is asked again when it says, at the latest after 5 min', async (t) => {
      const world = await stage(t);
      world.play(fail('throttled', 60));
      assert.equal((await world.request()).outcome, 'STALE');
      assert.equal(await askedAfter(world, 59.999), false);
      world.play(fail('throttled', 86_400));
      assert.equal(await askedAfter(world, 0.001), true);
      assert.equal(await askedAfter(world, 299.999), false);
      assert.equal(await askedAfter(world, 0.001), true);
    });

    test('is asked again where the clock was set back', async (t) => {
      const world = await stage(t);
      world.play(fail('unavailable'));
      await world.request();
      assert.equal(await askedAfter(world, -0.001), true);
    });

    test('is asked each time where nothing is stored', async (t) => {
      const world = await stage(t);
      world.play(fail('unavailable'));
      for (let i = 0; i < 3; i += 1) {
        assert.equal((await world.request({ key: 'never stored' })).outcome, 'unavailable');
      }
      assert.equal(world.questions(), 3);
    });

    test('is no unhandled rejection where every client has left', async (t) => {
      const world = await stage(t, { staleAfter: 10 * MINUTE });
      const gate = new Gate();
      world.play(() => gate.pass().then(() => ({ fails: 'unavailable' })));
      const left = new AbortController();
      const asked = ['one', 'never stored'].map((key) => world.request({ key, signal: left.signal }));
      await gate.reached;
      await settle();
      left.abort(new Error('left'));
      for (const each of await Promise.allSettled(asked)) assert.equal(each.status, 'rejected');
      gate.open();
      await settle();
    });
  });

  describe(`revalidation of ${kind}: a refusal`, () => {
    test('is never replaced by a stored answer, which is served once the origin allows it again', async (t) => {
      const world = await stage(t);
      world.play(fail('denied'));
      for (let i = 0; i < 2; i += 1) assert.equal((await world.request()).outcome, 'denied');
      assert.equal(world.questions(), 2, 'a refusal is for the origin to repeat');
      world.play(() => undefined);
      assert.equal((await world.request()).outcome, 'REVALIDATED');
    });

    test('is waited for, however long the origin takes, where the question before was refused', async (t) => {
      const world = await stage(t);
      const slow = (): Promise<Reply> => {
        const gate = new Gate();
        setTimeout(() => gate.open(), 60);
        return gate.pass().then(() => ({ fails: 'denied' }));
      };
      world.play(slow);
      assert.equal((await world.request()).outcome, 'STALE', 'the refusal is not known yet');
      await new Promise((resolve) => setTimeout(resolve, 60));
      await settle();
      assert.equal((await world.request()).outcome, 'denied');
    });

    test('is asked for although another key of the registry is not answered', async (t) => {
      const world = await stage(t);
      world.play(fail('denied'));
      await world.request();
      const gate = new Gate();
      world.play(() => gate.pass().then(() => undefined));
      assert.equal((await world.request({ key: 'other' })).outcome, 'STALE');
      const asked = world.request();
      gate.open();
      assert.equal((await asked).outcome, 'REVALIDATED');
    });
  });

  describe(`revalidation of ${kind}: an origin that has it no more`, () => {
    test(`is believed, and its "not found" remembered ${subject.notFound}`, async (t) => {
      const world = await stage(t);
      world.play(fail('not-found'));
      for (let i = 0; i < 3; i += 1) assert.equal((await world.request()).outcome, 'not-found');
      assert.equal(world.questions(), subject.notFound === 'never' ? 3 : 1);
      assert.equal(await askedAfter(world, 10), true);
    });

    if (subject.notFound === 'never') return;

    test('is asked again where the clock was set back, or too many others are remembered', async (t) => {
      const world = await stage(t);
      world.play(fail('not-found'));
      await world.request();
      assert.equal(await askedAfter(world, -0.001), true);
      for (let i = 0; i < 10_000; i += 1) await world.request({ key: `missing-${i}`, head: true });
      assert.equal(await askedAfter(world, 0), true);
    });
  });

  describe(`revalidation of ${kind}: clients together`, () => {
    test('a head-only request shares the full question under way', async (t) => {
      const world = await stage(t, { staleAfter: 10 * MINUTE });
      const gate = new Gate();
      world.play(() => gate.pass().then(() => undefined));
      const full = world.request();
      await gate.reached;
      const head = world.request({ head: true });
      await settle();
      gate.open();
      assert.equal((await full).content, 'old');
      assert.notEqual((await head).outcome, 'PASS');
      assert.equal(world.questions(), 1);
    });

    test('a full request that meets a head-only question gets its own content', async (t) => {
      const world = await stage(t, { staleAfter: 10 * MINUTE });
      const gate = new Gate();
      world.play(() => gate.pass().then(() => undefined));
      const head = world.request({ head: true });
      await gate.reached;
      const full = world.request();
      await settle();
      gate.open();
      assert.equal((await full).content, 'old');
      await head;
      assert.equal(world.questions(), subject.headIsEnough ? 1 : 2);
    });

    test('a client that leaves disturbs no other', async (t) => {
      const world = await stage(t, { staleAfter: 10 * MINUTE });
      const gate = new Gate();
      world.play(() => gate.pass().then(() => undefined));
      const left = new AbortController();
      const first = world.request({ signal: left.signal });
      await gate.reached;
      const second = world.request();
      await settle();
      left.abort(new Error('left'));
      await assert.rejects(first, /left/);
      gate.open();
      assert.equal((await second).content, 'old');
      assert.equal(world.questions(), 1);
    });
  });
}
