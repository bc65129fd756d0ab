import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HttpError, type HttpErrorCode } from '../../net/index.ts';
import { CredentialError } from '../auth/credential.ts';
import { exchangeFailure, UpstreamError } from '../error.ts';
import { type HealthSignal, judgeAnswer, judgeBody, judgeError } from './signal.ts';

/** `answered`, `nothing`, or how it failed. */
function summary(verdict: HealthSignal): string {
  if (verdict.kind !== 'failed') return verdict.kind;
  const { failure, everywhere } = verdict;
  return `${failure.kind} ${failure.opens} ${everywhere ? 'everywhere' : 'here'}`;
}

describe('judgeAnswer', () => {
  const rows: readonly (readonly [number, { redirected?: boolean; retryAfter?: number }, string])[] = [
    [200, {}, 'answered'],
    [206, { redirected: true }, 'answered'],
    [307, {}, 'answered'],
    [400, {}, 'answered'],
    [401, {}, 'answered'],
    [403, {}, 'answered'],
    [403, { redirected: true }, 'answered'],
    [404, {}, 'answered'],
    [405, {}, 'answered'],
    [501, {}, 'answered'],
    [505, {}, 'answered'],
    [408, {}, 'unavailable in-a-row everywhere'],
    [500, {}, 'unavailable in-a-row everywhere'],
    [503, {}, 'unavailable in-a-row everywhere'],
    [522, {}, 'unavailable in-a-row everywhere'],
    [503, { retryAfter: 3 }, 'unavailable at-once everywhere'],
    [503, { redirected: true }, 'unavailable in-a-row here'],
    [429, {}, 'throttled at-once here'],
    [429, { retryAfter: 3, redirected: true }, 'throttled at-once here'],
  ];
  for (const [status, { redirected = false, retryAfter }, expected] of rows) {
    test(`${status}${redirected ? ' elsewhere' : ''}${retryAfter === undefined ? '' : ' with a time'}: ${expected}`, () => {
      assert.equal(summary(judgeAnswer({ status, redirected, retryAfter })), expected);
    });
  }
});

test('judgeAnswer() names what blocked the request', () => {
  const verdict = judgeAnswer({ status: 503, redirected: false, retryAfter: undefined, blockedBy: 'a challenge' });
  assert.equal(verdict.kind === 'failed' && verdict.failure.reason, 'it answered 503, blocked by a challenge');
});

describe('judgeError', () => {
  const rows: readonly (readonly [HttpErrorCode, string])[] = [
    ['refused', 'unavailable at-once everywhere'],
    ['dns', 'unavailable at-once everywhere'],
    ['timeout', 'unavailable at-once everywhere'],
    ['tls', 'unavailable at-once everywhere'],
    ['idle', 'unavailable at-once everywhere'],
    ['tls-reset', 'unavailable in-a-row everywhere'],
    ['reset', 'unavailable in-a-row everywhere'],
    ['truncated', 'unavailable in-a-row everywhere'],
    ['protocol', 'nothing'],
    ['too-large', 'nothing'],
    ['forbidden', 'nothing'],
  ];
  for (const [code, expected] of rows) {
    test(`${code}: ${expected}`, () => {
      const context = { upstream: 'hub', exchange: 'GET https://hub.example/v2/secret/app/manifests/1' };
      const error = exchangeFailure(new HttpError(code, 'hub.example:443 is not well'), context);
      const verdict = judgeError(error);
      assert.equal(summary(verdict), expected);
      if (verdict.kind === 'failed') assert.equal(verdict.failure.reason, 'hub.example:443 is not well');
      const elsewhere = exchangeFailure(new HttpError(code, 'x'), { ...context, redirected: true });
      assert.equal(summary(judgeError(elsewhere)), expected.replace('everywhere', 'here'));
    });
  }

  test('what a token service answers is judged as an answer', () => {
    const said = (status: number): UpstreamError =>
      new UpstreamError('x', { kind: 'invalid', upstream: 'hub', status, retryAfter: undefined });
    assert.equal(summary(judgeError(said(401))), 'answered');
    assert.equal(summary(judgeError(said(503))), 'unavailable in-a-row everywhere');
    assert.equal(summary(judgeError(said(429))), 'throttled at-once here');
  });

  test('what never left this machine, and an abort, say nothing', () => {
    const cause = new CredentialError('the environment variable X is not set');
    const unread = new UpstreamError('x', { kind: 'unavailable', upstream: 'hub', cause });
    for (const error of [unread, new Error('the client left'), new TypeError('a mistake'), undefined]) {
      assert.equal(summary(judgeError(error)), 'nothing');
    }
  });
});

describe('judgeBody', () => {
  const rows: readonly (readonly [HttpErrorCode, string])[] = [
    ['truncated', 'unavailable in-a-row here'],
    ['idle', 'unavailable at-once here'],
    ['aborted', 'nothing'],
  ];
  for (const [code, expected] of rows) {
    test(`${code}: ${expected}`, () => assert.equal(summary(judgeBody(new HttpError(code, 'x'))), expected));
  }

  test('what is no error of an exchange: nothing', () => {
    assert.equal(summary(judgeBody(new Error('x'))), 'nothing');
  });
});
