import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { nextLink } from './list-link.ts';

describe('nextLink()', () => {
  const rows: readonly [prefix: string, ns: string | undefined, tail: string, query: string, link: string][] = [
    ['/v2/', undefined, 'a/b/tags/list', 'n=2&last=x', '</v2/a/b/tags/list?n=2&last=x>; rel="next"'],
    ['/v2/ghcr.io/', undefined, 'a/tags/list', 'n=2&last=x', '</v2/ghcr.io/a/tags/list?n=2&last=x>; rel="next"'],
    ['/ghcr/v2/', undefined, 'a/tags/list', 'last=x', '</ghcr/v2/a/tags/list?last=x>; rel="next"'],
    ['/v2/', 'ghcr.io', 'a/tags/list', 'last=x', '</v2/a/tags/list?last=x&ns=ghcr.io>; rel="next"'],
    ['/v2/', 'localhost:5001', '_catalog', 'n=1', '</v2/_catalog?n=1&ns=localhost%3A5001>; rel="next"'],
    // The upstream was itself a mirror, and its `ns` is not the client's.
    ['/v2/', 'ghcr.io', 'a/tags/list', 'ns=evil&last=x', '</v2/a/tags/list?last=x&ns=ghcr.io>; rel="next"'],
    ['/v2/', undefined, 'a/tags/list', 'ns=evil&last=x', '</v2/a/tags/list?last=x>; rel="next"'],
    ['/v2/', undefined, 'a/tags/list', '', '</v2/a/tags/list>; rel="next"'],
    // As it was written: a token of the upstream's need not be in any encoding, and may be signed.
    ['/v2/', 'x', 'a/tags/list', "t='%zz'+%2B/=&&=&b", `</v2/a/tags/list?t='%zz'+%2B/=&=&b&ns=x>; rel="next"`],
    [
      '/v2/',
      undefined,
      'a/tags/list',
      'last=a b>\r\n#\u00e9',
      '</v2/a/tags/list?last=a%20b%3E%0D%0A%23%E9>; rel="next"',
    ],
  ];
  for (const [prefix, ns, tail, query, link] of rows) {
    test(`writes ${link}`, () => assert.equal(nextLink({ prefix, ns }, { tail, query }), link));
  }

  test('leaves out a link too long for a header', () => {
    const addressing = { prefix: '/v2/', ns: undefined };
    assert.equal(nextLink(addressing, { tail: 'a/tags/list', query: `last=${'x'.repeat(5000)}` }), undefined);
    assert.equal(nextLink(addressing, { tail: 'a/tags/list', query: `last=${'é'.repeat(1400)}` }), undefined);
  });

  test('lets nothing of an upstream out of the URL, and keeps its meaning', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), (last, noise) => {
        const query = `${new URLSearchParams({ last }).toString()}&x=${noise}`;
        const link = nextLink({ prefix: '/v2/', ns: 'ghcr.io' }, { tail: 'a/tags/list', query });
        const inside = /^<(\/v2\/a\/tags\/list\?[\x21-\x7e]*)>; rel="next"$/.exec(link ?? '');
        assert.ok(inside !== null && !/[<>"#]/.test(inside[1] ?? ''), String(link));
        const parameters = new URL(inside[1] ?? '', 'http://mirror').searchParams;
        assert.equal(parameters.get('last'), last.toWellFormed());
        assert.equal(parameters.get('ns'), 'ghcr.io');
      }),
    );
  });
});
