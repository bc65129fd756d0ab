import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type PullRateLimit, parseRateLimit } from './rate-limit.ts';

describe('parseRateLimit', () => {
  const rows: readonly (readonly [string | undefined, string | undefined, PullRateLimit | undefined])[] = [
    ['100;w=21600', '76;w=21600', { limit: 100, remaining: 76, windowSeconds: 21_600 }],
    ['100', '76', { limit: 100, remaining: 76, windowSeconds: undefined }],
    ['100;w=60', '76', { limit: 100, remaining: 76, windowSeconds: 60 }],
    [undefined, '0;w=60', { limit: undefined, remaining: 0, windowSeconds: 60 }],
    ['100;w=21600', undefined, undefined],
    [undefined, undefined, undefined],
    [' 100 ; w = 60 ', ' 7 ', { limit: 100, remaining: 7, windowSeconds: 60 }],
    ['10, 10;w=1, 50;w=60', '9', { limit: 10, remaining: 9, windowSeconds: undefined }],
    ['100;comment="w=5";w=60', '9', { limit: 100, remaining: 9, windowSeconds: 60 }],
    ['100;w=0', '9', { limit: 100, remaining: 9, windowSeconds: undefined }],
    ['plenty', '9', { limit: undefined, remaining: 9, windowSeconds: undefined }],
    ['100', '-1', undefined],
    ['100', '1e9', undefined],
    ['100', '9'.repeat(20), undefined],
    ['100', `9;${'x'.repeat(300)}`, undefined],
    ['100', '', undefined],
  ];
  for (const [limit, remaining, expected] of rows) {
    test(`limit ${limit}, remaining ${remaining?.slice(0, 20)}`, () => {
      const headers = {
        ...(limit === undefined ? {} : { 'ratelimit-limit': limit }),
        ...(remaining === undefined ? {} : { 'ratelimit-remaining': remaining }),
      };
      assert.deepEqual(parseRateLimit(headers), expected);
    });
  }
});
