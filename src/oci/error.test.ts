import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ERROR_CODES, type ErrorCode, OciError } from './error.ts';

describe('OciError', () => {
  for (const [code, { status, message }] of Object.entries(ERROR_CODES)) {
    test(`${code} is answered with ${status} and its own sentence`, () => {
      const error = new OciError(code as ErrorCode);
      assert.equal(error.status, status);
      assert.deepEqual(JSON.parse(error.toBody()), { errors: [{ code, message }] });
    });
  }

  test('takes another status, a detail, a wait, headers and a cause', () => {
    const cause = new Error('connect ECONNREFUSED');
    const error = new OciError('UNAVAILABLE', 'quay.io did not answer', {
      status: 502,
      detail: { upstream: 'quay.io' },
      retryAfter: 30,
      headers: { allow: 'GET, HEAD' },
      cause,
    });
    assert.equal(error.status, 502);
    assert.equal(error.retryAfter, 30);
    assert.deepEqual(error.headers, { allow: 'GET, HEAD' });
    assert.equal(error.cause, cause);
    assert.deepEqual(JSON.parse(error.toBody()), {
      errors: [{ code: 'UNAVAILABLE', message: 'quay.io did not answer', detail: { upstream: 'quay.io' } }],
    });
  });

  test('never shows its cause to the client', () => {
    const error = new OciError('UNKNOWN', undefined, { cause: new Error('secret') });
    assert.doesNotMatch(error.toBody(), /secret/);
  });
});
