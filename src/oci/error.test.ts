import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ERROR_CODES, type ErrorCode, OciError } from './error.ts';

describe('OciError', () => {
  for (const [code, status] of Object.entries(ERROR_CODES)) {
    test(`${code} is answered with ${status}`, () => {
      const error = new OciError(code as ErrorCode, 'a sentence');
      assert.equal(error.status, status);
      assert.deepEqual(JSON.parse(error.toBody()), { errors: [{ code, message: 'a sentence' }] });
    });
  }

  test('takes another status, a wait, headers and a cause', () => {
    const cause = new Error('connect ECONNREFUSED');
    const error = new OciError('UNAVAILABLE', 'quay.io did not answer', {
      status: 502,
      retryAfter: 30,
      headers: { allow: 'GET, HEAD' },
      cause,
    });
    assert.equal(error.status, 502);
    assert.equal(error.retryAfter, 30);
    assert.deepEqual(error.headers, { allow: 'GET, HEAD' });
    assert.equal(error.cause, cause);
    assert.deepEqual(JSON.parse(error.toBody()), {
      errors: [{ code: 'UNAVAILABLE', message: 'quay.io did not answer' }],
    });
  });

  test('never shows its cause to the client', () => {
    const error = new OciError('UNKNOWN', 'unknown error', { cause: new Error('secret') });
    assert.doesNotMatch(error.toBody(), /secret/);
  });
});
