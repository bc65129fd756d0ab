import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { blockOf } from './blocked.ts';
import { answerFailure, tokenFailure } from './error.ts';

const html = { 'content-type': 'text/html; charset=utf-8' };
const json = { 'content-type': 'application/json' };

describe('blockOf()', () => {
  const rows: readonly (readonly [
    what: string,
    status: number,
    headers: Record<string, string>,
    by: RegExp | undefined,
  ])[] = [
    ['a CAPTCHA of AWS WAF', 405, { 'x-amzn-waf-action': 'captcha', ...html }, /AWS/],
    ['a challenge of AWS WAF, with 202', 202, { 'x-amzn-waf-action': 'challenge' }, /AWS/],
    ['a challenge of Cloudflare', 403, { server: 'cloudflare', 'cf-mitigated': 'challenge', ...html }, /Cloudflare/],
    ['an older page of Cloudflare', 503, { server: 'cloudflare', ...html }, /Cloudflare/],
    ['a registry behind Cloudflare that denies', 403, { server: 'cloudflare', ...json }, undefined],
    ['a geographic block', 451, html, /geographic/],
    ['a geographic block in JSON', 451, json, /geographic/],
    ['the page of some firewall', 403, html, /web page/],
    [
      'a page of a registry that names itself',
      403,
      { ...html, 'docker-distribution-api-version': 'registry/2.0' },
      undefined,
    ],
    ['a registry that denies', 403, json, undefined],
    ['a registry that lacks it', 404, json, undefined],
    ['a page for what is not there', 404, html, undefined],
    ['a gateway whose registry is down', 503, html, undefined],
    ['a registry that answers', 200, json, undefined],
  ];
  for (const [what, status, headers, by] of rows) {
    test(what, () => {
      const block = blockOf({ status, headers });
      if (by === undefined) assert.equal(block, undefined);
      else assert.match(block?.by ?? '', by);
    });
  }

  test('the message of a failure names the block and the remedy, and the status stays', () => {
    const answer = { status: 403, headers: { 'x-amzn-waf-action': 'captcha' } };
    const url = new URL('https://auth.example/token');
    for (const error of [
      answerFailure({ ...answer, upstream: 'hub', exchange: 'GET /v2/', code: undefined, redirected: false, now: 0 }),
      tokenFailure(answer, { upstream: 'hub', url, now: 0 }),
    ]) {
      assert.match(error.message, /403.*blocked by the web application firewall of AWS\. Ask the operator/);
      assert.equal(error.status, 403);
      assert.equal(error.kind, 'denied');
    }
  });
});
