import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Asked, Flight, type FlightOptions } from './flight.ts';

/** An answer that tells whether it was released. */
interface Held {
  isReleased: boolean;
}

const CALM: FlightOptions<Held> = {
  lateAfter: 10_000,
  onLate: () => {},
  release: (answer) => {
    assert.equal(answer.isReleased, false, 'released twice');
    answer.isReleased = true;
  },
};

function held(): { readonly answer: Held } {
  return { answer: { isReleased: false } };
}

describe('Flight', () => {
  test('lets the first waiter claim the answer, and no other', async () => {
    const asked = held();
    const flight = new Flight(async () => asked, CALM);
    const leave = [flight.join({ isAsker: false }), flight.join({ isAsker: false })];
    assert.equal(await flight.resolution, asked);
    assert.equal(flight.claim(), true);
    assert.equal(flight.claim(), false);
    for (const each of leave) each();
    assert.equal(asked.answer.isReleased, false);
  });

  test('releases an unclaimed answer when the last waiter leaves', async () => {
    const { answer } = held();
    const flight = new Flight(async () => ({ answer }), CALM);
    const [one, other] = [flight.join({ isAsker: false }), flight.join({ isAsker: false })];
    await flight.resolution;
    one();
    one();
    assert.equal(answer.isReleased, false);
    other();
    assert.equal(answer.isReleased, true);
    assert.equal(flight.claim(), false);
  });

  test('releases the answer of one alone when that one leaves, though others wait', async () => {
    for (const isFirstToLeave of [true, false]) {
      const { answer } = held();
      const answered = Promise.withResolvers<Asked<Held>>();
      const flight = new Flight<Held>(() => answered.promise, { ...CALM, isForAsker: () => true });
      const asker = flight.join({ isAsker: true });
      const other = flight.join({ isAsker: false });
      if (isFirstToLeave) asker();
      answered.resolve({ answer });
      await flight.resolution;
      assert.equal(answer.isReleased, isFirstToLeave);
      asker();
      assert.equal(answer.isReleased, true);
      other();
    }
  });

  test('releases the answer at once where every waiter has left, and tells so while it asks', async () => {
    const { answer } = held();
    const answered = Promise.withResolvers<Asked<Held>>();
    let isAwaited = (): boolean => true;
    const flight = new Flight<Held>((isIt) => {
      isAwaited = isIt;
      return answered.promise;
    }, CALM);
    const leave = flight.join({ isAsker: false });
    assert.equal(isAwaited(), true);
    leave();
    assert.equal(isAwaited(), false);
    answered.resolve({ answer });
    await flight.resolution;
    assert.equal(answer.isReleased, true);
    flight.join({ isAsker: false })();
    assert.equal(flight.claim(), false);
  });

  test('releases what a failure brought along', async () => {
    const { answer } = held();
    const flight = new Flight<Held>(
      async () => ({ answer, failure: { error: new Error('503'), isRefusal: false } }),
      CALM,
    );
    const leave = flight.join({ isAsker: false });
    await flight.resolution;
    leave();
    assert.equal(answer.isReleased, true);
  });

  test('makes an error of whatever is thrown, and tells when it takes long', async () => {
    const answered = Promise.withResolvers<Asked<Held>>();
    let isLate = false;
    const flight = new Flight<Held>(() => answered.promise, {
      ...CALM,
      lateAfter: 1,
      onLate: () => {
        isLate = true;
      },
    });
    await flight.late;
    assert.equal(isLate, true);
    answered.reject('no error');
    const { failure } = await flight.resolution;
    assert.deepEqual([failure?.error.message, failure?.isRefusal], ['no error', false]);
  });
});
