import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keyOf, SingleFlight } from './single-flight.ts';

describe('SingleFlight', () => {
  test('runs one operation for all calls made while it runs', async () => {
    const flight = new SingleFlight<number>();
    const gate = Promise.withResolvers<number>();
    let runs = 0;
    const operation = () => {
      runs += 1;
      return gate.promise;
    };
    const answers = [flight.run('k', operation), flight.run('k', operation), flight.run('other', operation)];
    gate.resolve(7);
    assert.deepEqual(await Promise.all(answers), [7, 7, 7]);
    assert.equal(runs, 2);
    assert.ok(!flight.has('k') && !flight.has('other'));
  });

  test('shares the error, and runs again afterwards', async () => {
    const flight = new SingleFlight<number>();
    const failing = () => Promise.reject(new Error('down'));
    const answers = await Promise.allSettled([flight.run('k', failing), flight.run('k', failing)]);
    assert.deepEqual(
      answers.map((each) => each.status),
      ['rejected', 'rejected'],
    );
    assert.equal(await flight.run('k', () => Promise.resolve(1)), 1);
  });
});

describe('keyOf()', () => {
  test('no two lists give one key', () => {
    assert.notEqual(keyOf('a', 'bc'), keyOf('ab', 'c'));
    assert.notEqual(keyOf('a"', 'b'), keyOf('a', '"b'));
    assert.notEqual(keyOf('a,b'), keyOf('a', 'b'));
  });
});
