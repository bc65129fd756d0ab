import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { keyOf, signatureOf } from './signature.ts';

// Source: the tests of the libraries of Standard Webhooks (libraries/*/…webhook.test).
const KNOWN = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: 1_614_265_330,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};

describe('signatureOf()', () => {
  test('signs the known message as the libraries do', () => {
    const key = keyOf(KNOWN.secret);
    assert.ok(key);
    assert.equal(signatureOf(KNOWN, [key]), KNOWN.signature);
  });

  test('has one signature for each key, the first one first', () => {
    const keys = ['one', 'two'].map((text) => Buffer.from(text));
    const [first, second, ...more] = signatureOf(KNOWN, keys).split(' ');
    assert.deepEqual(more, []);
    assert.equal(first, signatureOf(KNOWN, keys.slice(0, 1)));
    assert.equal(second, signatureOf(KNOWN, keys.slice(1)));
    assert.notEqual(first, second);
  });

  test('covers id, time and every byte of the body', () => {
    const key = [Buffer.from('key')];
    const whole = signatureOf(KNOWN, key);
    for (const change of [{ id: 'x' }, { timestamp: 1 }, { body: `${KNOWN.body} ` }]) {
      assert.notEqual(signatureOf({ ...KNOWN, ...change }, key), whole);
    }
  });
});

describe('keyOf()', () => {
  test('decodes what follows whsec_, and takes any other text as it is', () => {
    assert.equal(keyOf('whsec_AAECAw==')?.toString('hex'), '00010203');
    assert.equal(keyOf('a text, ü')?.toString(), 'a text, ü');
    assert.equal(keyOf('xwhsec_AAEC')?.toString(), 'xwhsec_AAEC');
  });

  test('gives nothing where no base64 follows', () => {
    for (const text of ['', 'AAE', 'A=AA', '-_-_', 'AAAA\n', 'AAAA===='])
      assert.equal(keyOf(`whsec_${text}`), undefined);
  });
});
