import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OPERATOR_PRINCIPAL, type Principal } from '../../access/index.ts';
import { Codes } from './codes.ts';
import { isTokenOf, Sessions } from './sessions.ts';

const MINUTE = 60_000;
const user = (name: string): Principal => ({ kind: 'user', name });

function clock() {
  const time = { now: 1_000_000 };
  return { time, now: () => time.now };
}

describe('a session', () => {
  test('ends after half an hour that no person does anything in', () => {
    const { time, now } = clock();
    const sessions = new Sessions({ now });
    const { id, session } = sessions.begin({ principal: user('alice'), version: 'v' });
    for (let minute = 0; minute < 29; minute += 1) {
      time.now += MINUTE;
      assert.equal(sessions.find(id, { isActive: false }), session);
    }
    assert.equal(sessions.expiryOf(session), 1_000_000 + 30 * MINUTE);
    time.now += MINUTE;
    assert.equal(sessions.isKept(session), false);
    assert.equal(session.ended.aborted, false);
    assert.equal(sessions.find(id, { isActive: true }), undefined);
    assert.equal(session.ended.aborted, true);
    assert.equal(sessions.size, 0);
  });

  test('ends after twelve hours, whatever a person does', () => {
    const { time, now } = clock();
    const sessions = new Sessions({ now });
    const { id } = sessions.begin({ principal: user('alice'), version: 'v' });
    for (let half = 0; half < 30; half += 1) {
      const isKept = sessions.find(id, { isActive: true }) !== undefined;
      assert.equal(isKept, time.now - 1_000_000 < 12 * 60 * MINUTE);
      time.now += 29 * MINUTE;
    }
  });

  test('is found by its id alone', () => {
    const sessions = new Sessions();
    const { id, session } = sessions.begin({ principal: user('alice'), version: 'v' });
    assert.match(id, /^[\w-]{43}$/);
    for (const other of ['', id.slice(1), session.token, `${id}x`]) {
      assert.equal(sessions.find(other, { isActive: false }), undefined);
    }
    assert.equal(JSON.stringify(session).includes(id), false);
  });

  test('shows its own token', () => {
    const sessions = new Sessions();
    const [one, other] = ['a', 'b'].map((name) => sessions.begin({ principal: user(name), version: 'v' }).session);
    assert.ok(one !== undefined && other !== undefined);
    assert.equal(isTokenOf(one, one.token), true);
    for (const shown of [undefined, '', other.token, `${one.token} `]) assert.equal(isTokenOf(one, shown), false);
  });

  test('takes the place of the one of its user that was unused for longest, of twenty', () => {
    const sessions = new Sessions();
    const bob = sessions.begin({ principal: user('bob'), version: 'v' });
    const begun = Array.from({ length: 20 }, () => sessions.begin({ principal: user('alice'), version: 'v' }));
    assert.ok(begun[0] !== undefined);
    sessions.find(begun[0].id, { isActive: true });
    sessions.begin({ principal: user('alice'), version: 'v' });
    const kept = begun.map(({ session }) => sessions.isKept(session));
    assert.deepEqual(kept, [true, false, ...Array.from({ length: 18 }, () => true)]);
    assert.equal(sessions.isKept(bob.session), true);
    // A token of the name is another principal.
    sessions.begin({ principal: { kind: 'token', name: 'alice' }, version: 'v' });
    assert.equal(sessions.size, 22);
  });

  test('takes the place of the one that was unused for longest, of a thousand', () => {
    const sessions = new Sessions();
    const begun = Array.from(
      { length: 1500 },
      (_, at) => sessions.begin({ principal: user(`u${at}`), version: 'v' }).session,
    );
    assert.equal(sessions.size, 1000);
    assert.deepEqual(begun.map((each) => sessions.isKept(each)).indexOf(true), 500);
    assert.equal(begun[499]?.ended.aborted, true);
  });

  test('ends with all others', () => {
    const sessions = new Sessions();
    const { session } = sessions.begin({ principal: OPERATOR_PRINCIPAL, version: undefined });
    sessions.close();
    assert.deepEqual([sessions.size, session.ended.aborted], [0, true]);
  });
});

describe('a code', () => {
  test('holds once', () => {
    const codes = new Codes();
    const { code } = codes.issue();
    assert.match(code, /^[\w-]{43}$/);
    assert.deepEqual([codes.redeem('x'), codes.redeem(code), codes.redeem(code)], [false, true, false]);
  });

  test('holds for a minute', () => {
    const { time, now } = clock();
    const codes = new Codes({ now });
    const [one, other] = [codes.issue(), codes.issue()];
    assert.equal(one.expiresAt, time.now + MINUTE);
    time.now += MINUTE - 1;
    assert.equal(codes.redeem(one.code), true);
    time.now += 1;
    assert.equal(codes.redeem(other.code), false);
  });

  test('of too many, the oldest no longer holds', () => {
    const codes = new Codes();
    const issued = Array.from({ length: 101 }, () => codes.issue().code);
    assert.deepEqual(
      [issued[0], issued[1], issued[100]].map((code) => codes.redeem(code ?? '')),
      [false, true, true],
    );
  });
});
