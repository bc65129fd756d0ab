import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { healthProbes } from './health.ts';

const READY = { ready: () => true };
const OVERLOADED = { ready: () => true, overloaded: () => true };
const DRAINING = { ready: () => false };

describe('healthProbes', () => {
  const rows: readonly (readonly [string, string | undefined, typeof READY, number, string])[] = [
    ['/healthz', undefined, READY, 200, 'ok'],
    ['/healthz', '*/*', READY, 200, 'ok'],
    ['/healthz', 'text/html,application/xhtml+xml,*/*;q=0.8', READY, 200, 'ok'],
    ['/healthz', 'application/json', READY, 200, '{"status":"ok"}'],
    ['/healthz', 'application/problem+json, text/plain', READY, 200, '{"status":"ok"}'],
    ['/healthz', undefined, DRAINING, 200, 'ok'],
    ['/_rmirror/healthz', undefined, READY, 200, 'ok'],
    ['/readyz', undefined, READY, 200, 'ok'],
    ['/readyz', undefined, DRAINING, 503, 'not ready'],
    ['/readyz', 'application/json', DRAINING, 503, '{"status":"not ready"}'],
    ['/_rmirror/readyz', undefined, DRAINING, 503, 'not ready'],
    ['/readyz', undefined, OVERLOADED, 503, 'overloaded'],
    ['/readyz', 'application/json', OVERLOADED, 503, '{"status":"overloaded"}'],
    ['/healthz', undefined, OVERLOADED, 200, 'ok'],
    ['/health', undefined, READY, 200, '{"status":"healthy"}'],
  ];
  for (const [path, accept, options, status, body] of rows) {
    test(`${path} for ${accept ?? 'any type'}: ${status} ${body}`, () => {
      const page = healthProbes(options)[path]?.(accept);
      assert.deepEqual([page?.status, page?.body], [status, body]);
      assert.equal(page?.contentType.startsWith(body.startsWith('{') ? 'application/json' : 'text/plain'), true);
    });
  }
});
