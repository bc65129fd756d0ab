import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CuedBody } from '../../../test/support/fake-origin.ts';
import { UrlFlight, type UrlResolution } from './flight.ts';

const CALM = { lateAfter: 10_000, onLate: () => {} };

function answer(): UrlResolution & { readonly kind: 'answer' } {
  return { kind: 'answer', failed: false, response: { status: 200, headers: {}, length: 1, body: new CuedBody() } };
}

function isGivenBack({ response }: UrlResolution & { readonly kind: 'answer' }): boolean {
  return (response.body as CuedBody).isCancelled;
}

describe('UrlFlight', () => {
  test('gives an answer to the first who takes it, and to nobody else', async () => {
    const resolution = answer();
    const flight = new UrlFlight(async () => resolution, CALM);
    const leave = [flight.join(), flight.join()];
    assert.equal(await flight.resolution, resolution);
    assert.equal(flight.take(resolution), resolution.response);
    assert.equal(flight.take(resolution), undefined);
    for (const each of leave) each();
    assert.equal(isGivenBack(resolution), false);
  });

  test('gives back what nobody took, when the last has left', async () => {
    const resolution = answer();
    const flight = new UrlFlight(async () => resolution, CALM);
    const [one, other] = [flight.join(), flight.join()];
    await flight.resolution;
    one();
    one();
    assert.equal(isGivenBack(resolution), false);
    other();
    assert.equal(isGivenBack(resolution), true);
    assert.equal(flight.take(resolution), undefined);
  });

  test('gives back at once what nobody waits for, and says so while it is asked', async () => {
    const resolution = answer();
    const asked = Promise.withResolvers<UrlResolution>();
    let isWaitedFor = (): boolean => true;
    const flight = new UrlFlight((isIt) => {
      isWaitedFor = isIt;
      return asked.promise;
    }, CALM);
    const leave = flight.join();
    assert.equal(isWaitedFor(), true);
    leave();
    assert.equal(isWaitedFor(), false);
    asked.resolve(resolution);
    await flight.resolution;
    assert.equal(isGivenBack(resolution), true);
    flight.join()();
    assert.equal(flight.take(resolution), undefined);
  });

  test('holds a transfer until everyone has got hold of it', async () => {
    let released = 0;
    const resolution = { kind: 'transfer', transfer: {} as never, release: () => (released += 1) } as const;
    const flight = new UrlFlight(async () => resolution, CALM);
    const [one, other] = [flight.join(), flight.join()];
    await flight.resolution;
    one();
    assert.equal(released, 0);
    other();
    assert.equal(released, 1);
  });

  test('makes an error of whatever is thrown, and tells when it takes long', async () => {
    const asked = Promise.withResolvers<UrlResolution>();
    let isLate = false;
    const flight = new UrlFlight(() => asked.promise, { lateAfter: 1, onLate: () => (isLate = true) });
    await flight.late;
    assert.equal(isLate, true);
    asked.reject('no error');
    const resolution = await flight.resolution;
    assert.ok(resolution.kind === 'error' && resolution.error.message === 'no error');
  });
});
