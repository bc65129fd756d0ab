import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ConnectedUpstreams, connectUpstreams, serve } from '../../test/support/connect-upstreams.ts';
import { startMiddlebox } from '../../test/support/middlebox.ts';
import { startRawServer } from '../../test/support/raw-server.ts';
import type { FailureKind } from '../oci/index.ts';
import { blockOf, siteBlockOf, versionRefusalOf } from './blocked.ts';
import { answerFailure, kindOfAnswer, tokenFailure, UpstreamError } from './error.ts';

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
      // Neither refused nor missing: something on the way answered.
      assert.equal(error.kind, 'unavailable');
    }
  });

  test('a site’s own refusal is a web page, and no block', () => {
    assert.equal(siteBlockOf({ status: 403, headers: html }), undefined);
    assert.equal(siteBlockOf({ status: 451, headers: html })?.kind, 'restriction');
  });
});

describe('kindOfAnswer()', () => {
  const rows: readonly (readonly [number, Record<string, string>, FailureKind])[] = [
    [405, { 'x-amzn-waf-action': 'captcha', ...html }, 'unavailable'],
    [404, { 'x-amzn-waf-action': 'challenge' }, 'unavailable'],
    [403, html, 'unavailable'],
    [451, json, 'unavailable'],
    [429, { server: 'cloudflare', ...html }, 'throttled'],
    [403, json, 'denied'],
    [404, html, 'not-found'],
    [464, {}, 'invalid'],
  ];
  for (const [status, headers, kind] of rows) {
    test(`${status} ${JSON.stringify(headers)}: ${kind}`, () => assert.equal(kindOfAnswer({ status, headers }), kind));
  }
});

describe('versionRefusalOf()', () => {
  const rows: readonly (readonly [number, Record<string, string>, RegExp])[] = [
    [426, { upgrade: 'HTTP/2.0' }, /^it refuses HTTP\/1\.1, the version of this server, and wants HTTP\/2\.0$/],
    [426, {}, /^it refuses HTTP\/1\.1, the version of this server$/],
    [426, { upgrade: '\u001b[31m' }, /this server$/],
    [464, {}, /^the load balancer in front of it refuses HTTP\/1\.1/],
    [505, {}, /^it refuses HTTP\/1\.1/],
  ];
  for (const [status, headers, words] of rows) {
    test(`${status} ${JSON.stringify(headers)}`, () => {
      const refusal = versionRefusalOf({ status, headers });
      assert.match(refusal?.words ?? '', words);
      assert.match(refusal?.remedy ?? '', /accept HTTP\/1\.1/);
    });
  }

  test('is nothing else', () => {
    for (const status of [200, 400, 404, 500, 501]) assert.equal(versionRefusalOf({ status, headers: {} }), undefined);
  });
});

describe('an upstream that cannot answer', () => {
  const app = { registry: 'docker.io', repository: 'library/app' };
  const latest = { kind: 'tag', tag: 'latest' } as const;

  async function failureOf(upstreams: ConnectedUpstreams): Promise<UpstreamError> {
    const error: unknown = await upstreams.getManifest(app, latest).catch((reason: unknown) => reason);
    assert.ok(error instanceof UpstreamError, String(error));
    return error;
  }

  test('because of a firewall is not one that lacks the image, is counted, and said once', async () => {
    await using site = await serve((_, response) => void response.writeHead(403, html).end('<html>'));
    await using upstreams = connectUpstreams({ url: site.url, name: 'hub' });
    const warnings: string[] = [];
    upstreams.telemetry.on('warning', ({ message }) => warnings.push(message));
    for (let i = 0; i < 2; i += 1) {
      const error = await failureOf(upstreams);
      assert.equal(error.kind, 'unavailable');
      assert.match(error.message, /answered 403 .*it was blocked by a web page/);
    }
    assert.deepEqual(
      upstreams.events.map(({ status, blocked }) => [status, blocked]),
      [
        [403, 'page'],
        [403, 'page'],
      ],
    );
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /of hub is blocked by a web page .*in a browser/);
  });

  test('because the handshake is reset is named, with the remedy', async (t) => {
    const middlebox = await startMiddlebox(1, () => 'reset');
    t.after(() => middlebox.close());
    await using upstreams = connectUpstreams({ url: `https://127.0.0.1:${middlebox.port}`, name: 'hub' });
    const error = await failureOf(upstreams);
    assert.equal(error.kind, 'unavailable');
    assert.match(
      error.message,
      /^hub did not answer GET .*reset during the TLS handshake.*set transport\.first_fragment_len: 3/,
    );
    assert.ok(upstreams.events.length > 0);
    for (const { blocked, error: code } of upstreams.events)
      assert.deepEqual([blocked, code], ['tls-reset', 'tls-reset']);
  });

  for (const [what, answer, words] of [
    ['SETTINGS of HTTP/2', Buffer.from([0, 0, 18, 4, 0, 0, 0, 0, 0]), /speaks HTTP\/2 alone.*accept HTTP\/1\.1/],
    ['a GOAWAY of HTTP/2', Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0]), /speaks HTTP\/2 alone.*accept HTTP\/1\.1/],
    ['a 464', 'HTTP/1.1 464 \r\ncontent-length: 0\r\n\r\n', /answered 464 .*load balancer.*accept HTTP\/1\.1/],
    ['a 426', 'HTTP/1.1 426 U\r\nupgrade: h2\r\ncontent-length: 0\r\n\r\n', /answered 426 .*wants h2.*accept/],
    ['a 505', 'HTTP/1.1 505 V\r\ncontent-length: 0\r\n\r\n', /answered 505 .*refuses HTTP\/1\.1.*accept/],
  ] as const) {
    test(`because it answers ${what} is named`, async (t) => {
      const server = await startRawServer(({ socket }) => void socket.end(answer));
      t.after(() => server.close());
      await using upstreams = connectUpstreams({ url: server.url().origin, name: 'hub' });
      assert.match((await failureOf(upstreams)).message, words);
    });
  }
});
