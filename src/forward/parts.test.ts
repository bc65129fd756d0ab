import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { endToEndHeaders } from '../server/exchange/hop-by-hop.ts';
import { holdsCredential } from './credential.ts';
import { shownHeaders } from './shown-headers.ts';

describe('endToEndHeaders()', () => {
  test('keeps order and spelling, and drops what is of the connection', () => {
    const raw = [
      'Accept',
      'a',
      'Connection',
      'keep-alive, X-Once',
      'X-ONCE',
      '1',
      'Proxy-Authorization',
      'Basic eA==',
      'Set-Cookie',
      'a=1',
      'set-cookie',
      'b=2',
      'TE',
      'trailers',
      'Upgrade',
      'h2c',
      'HTTP2-Settings',
      'x',
      'Transfer-Encoding',
      'chunked',
      'Trailer',
      'x',
      'Keep-Alive',
      '5',
      'Proxy-Connection',
      'close',
    ];
    assert.deepEqual(endToEndHeaders(raw), ['Accept', 'a', 'Set-Cookie', 'a=1', 'set-cookie', 'b=2']);
  });

  test('Connection cannot take away what the message is made of', () => {
    const raw = [
      'Connection',
      'Content-Length, authorization, X-A',
      'Content-Length',
      '3',
      'Authorization',
      'x',
      'x-a',
      '1',
    ];
    assert.deepEqual(endToEndHeaders(raw), ['Content-Length', '3', 'Authorization', 'x']);
  });

  test('drops what it is told to', () => {
    assert.deepEqual(endToEndHeaders(['Host', 'a', 'Accept', 'b'], ['host']), ['Accept', 'b']);
  });
});

describe('holdsCredential()', () => {
  const credential = { user: 'ship', password: 'pass:wörd' };
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  const table: readonly [header: string | undefined, holds: boolean][] = [
    [basic('ship:pass:wörd'), true],
    [basic('ship:pass:wörd').replace('Basic', 'bAsIc'), true],
    [basic('ship:pass'), false],
    [basic('Ship:pass:wörd'), false],
    [basic(':'), false],
    ['Basic ', false],
    ['Bearer c2hpcDpwYXNz', false],
    ['', false],
    [undefined, false],
    [`Basic ${'A'.repeat(100_000)}`, false],
  ];
  for (const [header, holds] of table) {
    test(`${String(header).slice(0, 40)}: ${holds}`, () => assert.equal(holdsCredential(header, credential), holds));
  }

  test('an empty user and password are none to come in by', () => {
    assert.equal(holdsCredential('Basic ', { user: '', password: '' }), false);
  });
});

describe('shownHeaders()', () => {
  test('shows what is harmless, and masks everything else', () => {
    const shown = shownHeaders({
      accept: 'x/y',
      authorization: 'Bearer s3cret',
      'X-Api-Key': 's3cret',
      'set-cookie': ['a=s3cret'],
      location: 'https://user:s3cret@cdn.test/blob?X-Amz-Signature=s3cret',
      link: '</v2/x/tags/list?last=s3cret>; rel="next"',
      'content-length': 12,
      'www-authenticate': 'Bearer realm="https://auth.test/token"',
    });
    assert.ok(!JSON.stringify(shown).includes('s3cret'), JSON.stringify(shown));
    assert.equal(shown['accept'], 'x/y');
    assert.equal(shown['authorization'], '***');
    assert.equal(shown['x-api-key'], '***');
    assert.equal(shown['location'], 'https://cdn.test/blob');
    assert.equal(shown['content-length'], '12');
  });

  test('knows no header of the prototype', () => {
    assert.equal(shownHeaders({})['constructor'], undefined);
    assert.deepEqual(Object.keys(shownHeaders(JSON.parse('{"__proto__":"x"}') as Record<string, string>)), [
      '__proto__',
    ]);
  });
});
