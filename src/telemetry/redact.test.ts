import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { redact, redactText, redactUrl } from './redact.ts';

describe('redactUrl', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['https://ghcr.io/v2/', 'https://ghcr.io/v2/'],
    ['https://user:pass@ghcr.io/v2/', 'https://ghcr.io/v2/'],
    ['https://user:p@ss@ghcr.io:8443/', 'https://ghcr.io:8443/'],
    ['https://user@ghcr.io', 'https://ghcr.io'],
    ['https://cdn.example/b?X-Amz-Signature=abc&X-Amz-Date=1', 'https://cdn.example/b'],
    ['https://ghcr.io/v2/_catalog?n=10&last=a&token=abc', 'https://ghcr.io/v2/_catalog?n=10&last=a'],
    [
      'https://auth/token?service=r&scope=repository:a:pull&account=me',
      'https://auth/token?service=r&scope=repository:a:pull',
    ],
    ['https://a/b?N=1&n%3D=2&nn=3', 'https://a/b'],
    ['https://a/b#token=abc', 'https://a/b'],
    ['https://a/b?n=1#access_token=abc', 'https://a/b?n=1'],
    ['https://a/user@host', 'https://a/user@host'],
    ['https://a?password=x', 'https://a'],
    ['/v2/x/tags/list?n=1&sig=abc', '/v2/x/tags/list?n=1'],
    ['', ''],
    ['://', '://'],
    ['https://', 'https://'],
  ];
  for (const [url, expected] of rows) test(`${url} → ${expected}`, () => assert.equal(redactUrl(url), expected));
});

const TOKEN = `ent_${'Ab3'.repeat(16)}z`;

describe('redactText', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['nothing to hide', 'nothing to hide'],
    ['Cannot reach https://u:p@ghcr.io/v2/: refused', 'Cannot reach https://ghcr.io/v2/: refused'],
    ['GET "https://cdn/x?sig=abc", twice', 'GET "https://cdn/x", twice'],
    ['(see https://a/b?c=d)', '(see https://a/b)'],
    ['redis://:hunter2@cache:6379/0', 'redis://cache:6379/0'],
    ['sent Bearer eyJhbGciOi.J9.abc_-', 'sent Bearer ***'],
    ['sent Basic dXNlcjpwYXNz', 'sent Basic ***'],
    ['sent bearer abc123def', 'sent bearer ***'],
    ['Bearer realm="https://auth/token",service="r"', 'Bearer realm="https://auth/token",service="r"'],
    ['Basic authentication is needed', 'Basic authentication is needed'],
    ['failed with password=hunter2 at a', 'failed with password=*** at a'],
    ['access_token=abc&x=1', 'access_token=***&x=1'],
    [`/v2/${TOKEN}/manifests/latest`, '/v2/ent_***/manifests/latest'],
    [`a "${TOKEN}"`, 'a "ent_***"'],
    ['/v2/ent_platform/backend', '/v2/ent_platform/backend'],
  ];
  for (const [text, expected] of rows) test(text, () => assert.equal(redactText(text), expected));

  test('a token is masked where the text is cut', () => {
    for (let at = 8192 - TOKEN.length; at < 8192; at += 1) {
      const shown = redactText(`${' '.repeat(at)}${TOKEN}${'x'.repeat(99)}`);
      assert.ok(!shown.includes(TOKEN.slice(0, 8)), shown.slice(-60));
    }
  });

  test('a long text is cut', () => assert.ok(redactText('a'.repeat(100_000)).length < 9000));

  test('hostile texts cost linear time', () => {
    const started = performance.now();
    for (const piece of [
      'ent_',
      ' ent_a',
      'ent_a…',
      'a.',
      'a+',
      'bearer ',
      'token=',
      '://',
      'a://',
      '@',
      '?n=',
      'Bearer a',
    ])
      redactText(piece.repeat(50_000));
    // What may close a URL and does not: as in the path of a request, of which each leaves a line in the log.
    for (let line = 0; line < 100; line++) redactText(`/v2/http://${')'.repeat(8000)}a`);
    assert.ok(performance.now() - started < 1000);
  });
});

describe('redact', () => {
  test('masks what is called a secret, at any depth', () => {
    const value = {
      Authorization: 'Basic abc',
      'proxy-authorization': 'x',
      cookie: 'x',
      'Set-Cookie': ['x'],
      password: 'x',
      nested: [{ identityToken: 'x', client_secret: 'x', tokens: 3 }],
    };
    assert.deepEqual(JSON.parse(JSON.stringify(redact(value))), {
      Authorization: '***',
      'proxy-authorization': '***',
      cookie: '***',
      'Set-Cookie': '***',
      password: '***',
      nested: [{ identityToken: '***', client_secret: '***', tokens: 3 }],
    });
  });

  test('shows errors with their causes, and stacks only when asked', () => {
    const cause = Object.assign(new TypeError('to https://u:p@a/?s=1'), { code: 'ECONNREFUSED' });
    const error = new Error('Cannot pull', { cause });
    assert.deepEqual(redact(error), {
      type: 'Error',
      message: 'Cannot pull',
      cause: { type: 'TypeError', message: 'to https://a/', code: 'ECONNREFUSED' },
    });
    const shown = redact(error, { stacks: true }) as { stack: string };
    assert.match(shown.stack, /redact\.test\.ts/);
    const many = redact(new AggregateError([new Error('a'), new Error('b')], 'all')) as { errors: unknown[] };
    assert.equal(many.errors.length, 2);
  });

  test('survives what is circular, deep, wide or no data', () => {
    const circular: Record<string, unknown> = { name: 'a', buffer: Buffer.alloc(5), call: () => 1, big: 10n };
    circular['self'] = circular;
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`k${index}`, index]));
    const looped = new Error('a');
    looped.cause = looped;
    assert.match(JSON.stringify(redact(circular)), /"buffer":"<5 bytes>"/);
    assert.equal(Object.keys(redact(wide) as object).length, 100);
    assert.match(JSON.stringify(redact(looped)), /"cause"/);
    assert.deepEqual(redact(new URL('https://u:p@a/b?c=d')), 'https://a/b');
  });

  test('no canary survives, wherever it is put', () => {
    const canary = 'C4NARY7';
    const places = fc.constantFrom<(secret: string) => unknown>(
      (secret) => `https://user:${secret}@ghcr.io/v2/`,
      (secret) => `see https://cdn.example/blob?X-Amz-Signature=${secret}&n=3 for more`,
      (secret) => `Bearer ${secret}`,
      (secret) => new Error(`Authorization: Basic ${secret}`, { cause: new Error(`token=${secret}`) }),
      (secret) => ({ headers: { authorization: secret, 'set-cookie': [secret] } }),
      (secret) => [new URL(`https://${secret}:x@a/?q=${secret}`)],
    );
    fc.assert(
      fc.property(places, fc.dictionary(fc.string(), fc.anything()), (place, around) => {
        const shown = JSON.stringify(redact({ ...around, place: place(canary) }, { stacks: true }));
        return !shown.includes(canary);
      }),
      { numRuns: 200 },
    );
  });
});
