import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HttpError, type HttpErrorCode } from '../net/index.ts';
import {
  answerFailure,
  describeExchange,
  exchangeFailure,
  kindOfStatus,
  parseErrorCode,
  parseRetryAfter,
  tokenFailure,
} from './error.ts';

describe('kindOfStatus', () => {
  const rows = [
    [400, 'not-found'],
    [401, 'denied'],
    [403, 'denied'],
    [404, 'not-found'],
    [405, 'not-found'],
    [408, 'unavailable'],
    [410, 'not-found'],
    [416, 'invalid'],
    [418, 'invalid'],
    [422, 'not-found'],
    [451, 'invalid'],
    [429, 'throttled'],
    [500, 'unavailable'],
    [501, 'unavailable'],
    [503, 'unavailable'],
    [599, 'unavailable'],
    [200, 'invalid'],
    [304, 'invalid'],
  ] as const;
  for (const [status, kind] of rows) {
    test(`${status} is ${kind}`, () => assert.equal(kindOfStatus(status), kind));
  }

  test('a 400 of a storage is about its URL, not about the content', () => {
    assert.equal(kindOfStatus(400, true), 'unavailable');
  });

  test('a storage that refuses what was just signed is out of order, not the last word', () => {
    assert.deepEqual(
      [401, 403, 404].map((status) => kindOfStatus(status, true)),
      ['unavailable', 'unavailable', 'not-found'],
    );
  });
});

describe('parseRetryAfter', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const rows: readonly (readonly [string | undefined, number | undefined])[] = [
    [undefined, undefined],
    ['120', 120],
    [' 0 ', 0],
    ['99999999', 86_400],
    ['-5', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['Thu, 01 Jan 2099 00:00:00 GMT', 86_400],
    ['2026', 2026],
  ];
  for (const [header, expected] of rows) {
    test(String(header), () => assert.equal(parseRetryAfter(header, now), expected));
  }
});

describe('parseErrorCode', () => {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['{"errors":[{"code":"TOOMANYREQUESTS","message":"x"}]}', 'TOOMANYREQUESTS'],
    ['{"errors":[{"code":"toomanyrequests"}]}', 'toomanyrequests'],
    ['{"errors":[]}', undefined],
    ['{"errors":"x"}', undefined],
    ['{"errors":[null]}', undefined],
    ['{"errors":[{"code":"Basic c2VjcmV0"}]}', undefined],
    ['{"details":1}', undefined],
    ['Too Many Requests (HAP429)', undefined],
    ['{"errors":[{"code":', undefined],
    ['', undefined],
  ];
  for (const [body, expected] of rows) {
    test(body || 'an empty body', () => assert.equal(parseErrorCode(Buffer.from(body)), expected));
  }
});

describe('failures', () => {
  const url = new URL('https://reg.example.com/v2/app/manifests/x?X-Amz-Signature=canary');

  test('a message names upstream, status, code, method and path, and never a query', () => {
    const error = answerFailure({
      upstream: 'reg',
      exchange: describeExchange('GET', url),
      status: 429,
      headers: { 'retry-after': '7' },
      code: 'TOOMANYREQUESTS',
      redirected: false,
      now: 0,
    });
    assert.equal(error.message, 'reg answered 429 TOOMANYREQUESTS to GET https://reg.example.com/v2/app/manifests/x');
    assert.deepEqual([error.kind, error.upstream, error.retryAfter, error.temporary], ['throttled', 'reg', 7, true]);
  });

  const codes: readonly (readonly [HttpErrorCode, string])[] = [
    ['refused', 'unavailable'],
    ['dns', 'unavailable'],
    ['timeout', 'unavailable'],
    ['idle', 'unavailable'],
    ['tls-reset', 'unavailable'],
    ['reset', 'unavailable'],
    ['truncated', 'unavailable'],
    ['tls', 'unavailable'],
    ['protocol', 'invalid'],
    ['too-large', 'invalid'],
    ['forbidden', 'invalid'],
  ];
  for (const [code, kind] of codes) {
    test(`an exchange that ended with ${code} is ${kind}`, () => {
      const cause = new HttpError(code, 'it broke');
      const error = exchangeFailure(cause, { upstream: 'reg', exchange: 'GET x' });
      assert.deepEqual([error.kind, error.cause], [kind, cause]);
    });
  }

  test('a mistake of ours is not made an upstream failure', () => {
    const mistake = new TypeError('x is not a function');
    assert.throws(() => exchangeFailure(mistake, { upstream: 'reg', exchange: 'GET x' }), mistake);
  });

  test('a token service that is not found says nothing about the content', () => {
    const context = { upstream: 'reg', url, now: 0 };
    const kinds = [200, 401, 404, 429, 500].map((status) => tokenFailure({ status, headers: {} }, context).kind);
    assert.deepEqual(kinds, ['invalid', 'denied', 'invalid', 'throttled', 'unavailable']);
    assert.doesNotMatch(tokenFailure({ status: 401, headers: {} }, context).message, /canary/);
  });
});
