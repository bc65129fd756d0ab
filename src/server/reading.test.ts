import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { methodRefused } from './reading.ts';

describe('methodRefused()', () => {
  const changing = ['POST', 'PUT', 'PATCH', 'DELETE'];
  for (const method of [...changing, 'OPTIONS', 'TRACE', 'PROPFIND', 'LOCK', 'QUERY', 'FETCH', 'get', '']) {
    test(`${method || 'no method'}: 405 with what is allowed, and words for it`, () => {
      const { status, code, headers, message } = methodRefused(method);
      assert.deepEqual([status, code, headers['allow']], [405, 'UNSUPPORTED', 'GET, HEAD']);
      assert.match(
        message,
        changing.includes(method) ? /pushed to it or deleted from it$/ : /^the method is not supported/,
      );
    });
  }
});
