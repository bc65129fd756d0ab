import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Passwords } from './passwords.ts';
import { TooManyGuessesError } from './refusal.ts';

const RIGHT = 'right';

function stage() {
  let now = 0;
  let hashed = 0;
  const compare = (password: string): Promise<boolean> => {
    hashed += 1;
    return Promise.resolve(password === RIGHT);
  };
  const passwords = new Passwords({ none: () => ({ compare }), now: () => now });
  const stored = { version: '1', compare };
  const check = (password: string, { name = 'alice', address = 'x', known = true } = {}): Promise<boolean> =>
    passwords.check({ name, password, address }, known ? stored : undefined);
  return { check, passwords, stored, advance: (by: number) => void (now += by), hashed: () => hashed };
}

describe('Passwords', () => {
  test('hashes a right password once', async () => {
    const { check, hashed } = stage();
    assert.deepEqual([await check(RIGHT), await check(RIGHT)], [true, true]);
    assert.equal(hashed(), 1);
  });

  test('forgets it when the stored one changes', async () => {
    const { check, passwords } = stage();
    await check(RIGHT);
    const other = { version: '2', compare: () => Promise.resolve(false) };
    assert.equal(await passwords.check({ name: 'alice', password: RIGHT, address: 'x' }, other), false);
  });

  test('hashes for an unknown user too, and never lets one in', async () => {
    const { check, hashed } = stage();
    assert.equal(await check(RIGHT, { known: false }), false);
    assert.equal(hashed(), 1);
  });

  test('refuses guesses for a name before hashing, from any address', async () => {
    const { check, hashed, advance } = stage();
    for (let guess = 0; guess < 5; guess += 1) assert.equal(await check(`${guess}`, { address: `${guess}` }), false);
    await assert.rejects(check(RIGHT, { address: 'new' }), TooManyGuessesError);
    assert.equal(hashed(), 5);
    advance(1000);
    assert.equal(await check(RIGHT), true);
  });

  test('refuses guesses from an address, for any name', async () => {
    const { check } = stage();
    for (let guess = 0; guess < 20; guess += 1) await check('no', { name: `${guess}` });
    await assert.rejects(check(RIGHT, { name: 'new' }), TooManyGuessesError);
    assert.equal(await check(RIGHT, { name: 'new', address: 'other' }), true);
  });

  test('a /64 network is one address, since its owner has every address in it', async () => {
    const { check } = stage();
    for (let guess = 0; guess < 20; guess += 1) await check('no', { name: `${guess}`, address: `2001:db8::${guess}` });
    await assert.rejects(check(RIGHT, { name: 'new', address: '2001:db8::99' }), TooManyGuessesError);
    assert.equal(await check(RIGHT, { name: 'new', address: '2001:db8:0:1::1' }), true);
  });

  test('does not slow down a password that it knows', async () => {
    const { check } = stage();
    await check(RIGHT);
    for (let guess = 0; guess < 5; guess += 1) await check(`${guess}`, { address: `${guess}` });
    await assert.rejects(check('no'), TooManyGuessesError);
    assert.equal(await check(RIGHT), true);
  });

  for (const known of [true, false]) {
    test(`takes the same wrong password for one guess, of ${known ? 'a' : 'no'} user`, async () => {
      const { check, hashed } = stage();
      for (let guess = 0; guess < 100; guess += 1) assert.equal(await check('no', { known }), false);
      assert.equal(hashed(), 1);
      assert.equal(await check('other', { known }), false);
    });
  }

  test('takes a wrong password when it becomes right', async () => {
    const { check, passwords } = stage();
    assert.equal(await check(RIGHT, { known: false }), false);
    assert.equal(await check('new'), false);
    const changed = { version: '2', compare: () => Promise.resolve(true) };
    assert.equal(await passwords.check({ name: 'alice', password: 'new', address: 'x' }, changed), true);
    assert.equal(await check(RIGHT), true);
  });

  test('hashes a password once that comes on many connections, and slows none of them down', async () => {
    const { check, hashed } = stage();
    const all = await Promise.all(Array.from({ length: 100 }, () => check(RIGHT)));
    assert.deepEqual([...new Set(all), hashed()], [true, 1]);
  });

  test('takes no two users for one', async () => {
    const { check } = stage();
    const [right, other] = await Promise.all([
      check(RIGHT, { name: 'a' }),
      check(`b${RIGHT}`, { name: 'a' }),
      check(RIGHT, { name: 'ab', known: false }),
    ]);
    assert.deepEqual([right, other], [true, false]);
  });

  test('counts guesses that are sent together', async () => {
    const { check, hashed } = stage();
    await Promise.allSettled(Array.from({ length: 100 }, (_, guess) => check(`${guess}`)));
    assert.equal(hashed(), 5);
  });
});
