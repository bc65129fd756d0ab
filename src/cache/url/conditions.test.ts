import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Conditions, evaluateConditions, holdsIfRange } from './conditions.ts';
import { hasValidator, httpDate, strongValidator } from './validator.ts';

const EARLIER = 'Sat, 21 Nov 2026 10:00:00 GMT';
const THEN = 'Sat, 21 Nov 2026 11:00:00 GMT';
const LATER = 'Sat, 21 Nov 2026 12:00:00 GMT';
const HEADERS = { etag: '"a"', 'last-modified': THEN, date: LATER };
const WEAK = { ...HEADERS, etag: 'W/"a"' };

describe('evaluateConditions', () => {
  const table: [Conditions, Readonly<Record<string, string>>, 200 | 304 | 412][] = [
    [{}, HEADERS, 200],
    [{ ifNoneMatch: '"a"' }, HEADERS, 304],
    [{ ifNoneMatch: 'W/"a"' }, HEADERS, 304],
    [{ ifNoneMatch: '"a"' }, WEAK, 304],
    [{ ifNoneMatch: '"x,y", "a"' }, HEADERS, 304],
    [{ ifNoneMatch: '"b"' }, HEADERS, 200],
    [{ ifNoneMatch: 'a' }, HEADERS, 200],
    [{ ifNoneMatch: '*' }, HEADERS, 304],
    [{ ifNoneMatch: '"a"' }, {}, 200],
    // The tag decides; the date is not looked at.
    [{ ifNoneMatch: '"b"', ifModifiedSince: LATER }, HEADERS, 200],
    [{ ifModifiedSince: THEN }, HEADERS, 304],
    [{ ifModifiedSince: LATER }, HEADERS, 304],
    [{ ifModifiedSince: EARLIER }, HEADERS, 200],
    [{ ifModifiedSince: 'yesterday' }, HEADERS, 200],
    [{ ifModifiedSince: LATER }, {}, 200],
    [{ ifMatch: '"a"' }, HEADERS, 200],
    [{ ifMatch: '*' }, HEADERS, 200],
    [{ ifMatch: '"b"' }, HEADERS, 412],
    [{ ifMatch: 'W/"a"' }, WEAK, 412],
    [{ ifMatch: '"a"', ifUnmodifiedSince: EARLIER }, HEADERS, 200],
    [{ ifMatch: '"a"', ifNoneMatch: '"a"' }, HEADERS, 304],
    [{ ifUnmodifiedSince: EARLIER }, HEADERS, 412],
    [{ ifUnmodifiedSince: THEN }, HEADERS, 200],
    [{ ifUnmodifiedSince: 'yesterday' }, HEADERS, 200],
  ];
  for (const [conditions, headers, status] of table) {
    test(`${JSON.stringify(conditions)} of ${headers['etag'] ?? 'nothing'}: ${status}`, () => {
      assert.equal(evaluateConditions(conditions, headers), status);
    });
  }
});

test('holdsIfRange takes only what is exactly here', () => {
  assert.equal(holdsIfRange(undefined, {}), true);
  assert.equal(holdsIfRange('"a"', HEADERS), true);
  assert.equal(holdsIfRange(' "a" ', HEADERS), true);
  assert.equal(holdsIfRange('"b"', HEADERS), false);
  assert.equal(holdsIfRange('W/"a"', WEAK), false);
  assert.equal(holdsIfRange('"a"', {}), false);
  assert.equal(holdsIfRange(THEN, HEADERS), true);
  assert.equal(holdsIfRange(LATER, HEADERS), false);
  assert.equal(holdsIfRange('nonsense', {}), false);
});

test('strongValidator takes a strong tag, or a date that is surely past', () => {
  assert.equal(strongValidator({ etag: '"a"', 'last-modified': THEN }), '"a"');
  assert.equal(strongValidator({ 'last-modified': THEN, date: LATER }), THEN);
  assert.equal(strongValidator({ 'last-modified': THEN, date: 'Sat, 21 Nov 2026 11:00:59 GMT' }), undefined);
  assert.equal(strongValidator(WEAK), undefined);
  assert.equal(strongValidator({}), undefined);
  assert.equal(hasValidator({ etag: '"a"' }, '"a"'), true);
  assert.equal(hasValidator({ etag: 'W/"a"' }, '"a"'), false);
  assert.equal(hasValidator({ 'last-modified': THEN }, THEN), true);
  assert.equal(hasValidator({ 'last-modified': THEN, etag: 'W/"b"' }, THEN), false);
});

test('httpDate reads the one form that is still sent', () => {
  assert.equal(httpDate(THEN), Date.UTC(2026, 10, 21, 11));
  for (const text of [undefined, '', '0', '-1', '2026-11-21', 'Saturday, 21-Nov-26 11:00:00 GMT']) {
    assert.equal(httpDate(text), undefined);
  }
});
