import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { statedExpiry } from './url-expiry.ts';

const AT = Date.parse('2026-01-31T23:59:59Z');
const SECONDS = AT / 1000;

const READ: readonly (readonly [form: string, query: string])[] = [
  ['S3 and R2', 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20260131T234959Z&X-Amz-Expires=600&X-Amz-Signature=0'],
  ['GCS', 'X-Goog-Date=20260131T225959Z&X-Goog-Expires=3600&X-Goog-Signature=0'],
  ['OSS', 'x-oss-date=20260131T225959Z&x-oss-expires=3600&x-oss-signature=0'],
  ['CloudFront, and S3 before version 4', `Expires=${SECONDS}&Signature=0&Key-Pair-Id=K`],
  ['Azure', 'sv=2025-01-05&se=2026-01-31T23%3A59%3A59Z&sr=b&sp=r&sig=0'],
  ['Cloudflare', `verify=${SECONDS}-abc%3D`],
  ['two forms, of which the earlier holds', `Expires=${SECONDS}&verify=${SECONDS + 60}-abc`],
];

const NOTHING: readonly (readonly [what: string, query: string])[] = [
  ['no query', ''],
  ['a time without its beginning', 'X-Amz-Expires=600'],
  ['a beginning that is no date', 'X-Amz-Date=20269931T234959Z&X-Amz-Expires=600'],
  ['a beginning in another form', 'X-Amz-Date=2026-01-31&X-Amz-Expires=600'],
  ['no number', 'Expires=never'],
  ['a number without end', `Expires=${'9'.repeat(400)}`],
  ['no date', 'se=soon'],
  ['a signature alone', 'verify=abc'],
];

describe('statedExpiry', () => {
  for (const [form, query] of READ) {
    test(`reads ${form}`, () => assert.equal(statedExpiry(new URL(`https://cdn.example/x?${query}`)), AT));
  }

  for (const [what, query] of NOTHING) {
    test(`reads nothing in ${what}`, () =>
      assert.equal(statedExpiry(new URL(`https://cdn.example/x?${query}`)), undefined));
  }
});
