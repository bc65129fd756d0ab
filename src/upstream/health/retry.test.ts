import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HttpError, type HttpErrorCode } from '../../net/index.ts';
import { UpstreamError, type UpstreamErrorOptions } from '../error.ts';
import { type RetryContext, retryDelay } from './retry.ts';

function failure(options: Partial<UpstreamErrorOptions>): UpstreamError {
  return new UpstreamError('it failed', { kind: 'unavailable', upstream: 'reg', ...options });
}

function broken(code: HttpErrorCode): UpstreamError {
  return failure({ cause: new HttpError(code, 'it broke') });
}

const last: RetryContext = { attempts: 1, last: true, random: 0.5 };

describe('retryDelay', () => {
  const rows: readonly (readonly [string, UpstreamError, RetryContext, number | undefined])[] = [
    ['a broken connection', broken('reset'), last, 300],
    ['a broken handshake', broken('tls-reset'), last, 300],
    ['a body that broke off', broken('truncated'), last, 300],
    ['503', failure({ status: 503 }), last, 300],
    ['500', failure({ status: 500 }), { ...last, random: 0 }, 200],
    ['501, which will not change', failure({ status: 501 }), last, undefined],
    ['the second failure', broken('reset'), { ...last, attempts: 2 }, undefined],
    ['while another upstream is left', broken('reset'), { ...last, last: false }, undefined],
    ['a timeout', broken('timeout'), last, undefined],
    ['nothing listens', broken('refused'), last, undefined],
    ['an unknown name', broken('dns'), last, undefined],
    ['a bad certificate', broken('tls'), last, undefined],
    ['503 with Retry-After', failure({ status: 503, retryAfter: 5 }), last, undefined],
    ['429', failure({ kind: 'throttled', status: 429 }), last, undefined],
    ['404', failure({ kind: 'not-found', status: 404 }), last, undefined],
    ['a wrong digest', failure({ kind: 'invalid' }), last, undefined],
  ];
  for (const [why, error, context, expected] of rows) {
    test(`${why}: ${expected ?? 'no retry'}`, () => assert.equal(retryDelay(error, context), expected));
  }
});
