import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { describe, test } from 'node:test';
import { hashPassword, isPasswordOf, NO_PASSWORD } from './argon2.ts';

/** A test vector of the reference implementation (phc-winner-argon2, src/test.c): the salt is `somesalt`. */
const KNOWN = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';

describe('argon2id', () => {
  test('knows a password again, and no other', async () => {
    const hash = await hashPassword('correct horse');
    assert.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    assert.equal(await isPasswordOf(hash, 'correct horse'), true);
    for (const other of ['correct hors', 'correct horse ', 'Correct horse', '']) {
      assert.equal(await isPasswordOf(hash, other), false, other);
    }
  });

  test('salts each hash', async () => {
    assert.notEqual(await hashPassword('same'), await hashPassword('same'));
  });

  test('reads a hash of other parameters, as the reference implementation writes it', async () => {
    assert.equal(await isPasswordOf(KNOWN, 'password'), true);
    assert.equal(await isPasswordOf(KNOWN, 'passwore'), false);
  });

  test('hashes two passwords at once, and no more: the thread pool reads the cache too', async () => {
    const running = new Set<number>();
    let most = 0;
    let all = 0;
    const hook = createHook({
      init: (id, type) => {
        if (!type.startsWith('ARGON2')) return;
        running.add(id);
        all += 1;
        most = Math.max(most, running.size);
      },
      before: (id) => void running.delete(id),
    }).enable();
    try {
      const checks = Array.from({ length: 3 }, () => isPasswordOf(NO_PASSWORD, 'guess'));
      const hashes = Array.from({ length: 3 }, () => hashPassword('new'));
      await Promise.all([...checks, ...hashes]);
    } finally {
      hook.disable();
    }
    assert.deepEqual({ all, most }, { all: 6, most: 2 });
  });

  test('hashes where there is no user, and lets none in', async () => {
    for (const password of ['', 'x', '\0']) assert.equal(await isPasswordOf(NO_PASSWORD, password), false);
  });

  for (const hash of [
    '',
    'password',
    '$2b$10$oP8azoNm4UjZKWEP.PxxcOGvfkutczrqEq7PcG9e2SZfurvDXCPDi',
    KNOWN.replace('argon2id', 'argon2i'),
    KNOWN.replace('v=19', 'v=16'),
    KNOWN.replace('m=65536', 'm=4294967295'),
    KNOWN.replace('m=65536', 'm=999999999'),
    KNOWN.replace('m=65536', 'm=7'),
    KNOWN.replace('t=2', 't=0'),
    KNOWN.replace('t=2', 't=9999'),
    KNOWN.replace('p=1', 'p=0'),
    KNOWN.replace('p=1', 'p=99'),
    `${KNOWN}=`,
    `${KNOWN}\n`,
  ]) {
    test(`is no password's, and costs nothing: ${hash.slice(0, 40)}`, async () => {
      assert.equal(await isPasswordOf(hash, 'password'), false);
    });
  }
});
