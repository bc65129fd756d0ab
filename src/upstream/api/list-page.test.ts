import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf, type ListQuery } from '../../oci/index.ts';
import { listQueryString, nextPage } from './list-page.ts';

describe('nextPage', () => {
  const rows: readonly (readonly [string, string | undefined, string | undefined])[] = [
    ['the usual', '</v2/library/a/tags/list?n=2&last=b>; rel="next"', 'n=2&last=b'],
    [
      'an absolute URL, of which only the query counts',
      '<https://evil.example/x?n=2&last=b>; rel="next"',
      'n=2&last=b',
    ],
    ["Quay's own word", '</v2/a/tags/list?n=2&next_page=gAAA%3D%3D>; rel="next"', 'n=2&next_page=gAAA%3D%3D'],
    ['rel without quotes, in capitals', '<?last=b>; REL=Next', 'last=b'],
    ['another link before it', '</a?x=1>; rel="prev", </b?last=c>; rel="next"', 'last=c'],
    ['another parameter before rel', '</b?last=c>; title=x; rel="next"', 'last=c'],
    ['what would break out is encoded', '<?last=a%0d%0aX:%201%3E>; rel="next"', 'last=a%0d%0aX:%201%3E'],
    ['as it was written', "<?t='%zz'+%2B/=~&b>; rel=next", "t='%zz'+%2B/=~&b"],
    ["our clients' ns is not the upstream's", '<?last=c&ns=evil>; rel="next"', 'last=c'],
    ['several relations', '<?last=c>; rel="next last"', 'last=c'],
    ['a quoted comma before rel', '<?last=c>; title="a, b"; rel="next"', 'last=c'],
    ['a query behind a fragment', '<#?last=c>; rel="next"', undefined],
    ['another relation', '<?last=c>; rel="nextish"', undefined],
    ['no query', '</v2/a/tags/list>; rel="next"', undefined],
    ['a query of ns alone', '<?ns=x>; rel="next"', undefined],
    ['no link', 'nonsense', undefined],
    ['no header', undefined, undefined],
    ['too long a query', `<?last=${'x'.repeat(3000)}>; rel="next"`, undefined],
    ['too many parameters', `<?${'a=1&'.repeat(20)}>; rel="next"`, undefined],
  ];
  for (const [why, header, expected] of rows) {
    test(why, () => assert.equal(nextPage(header), expected));
  }

  test('a hostile header takes no time', () => {
    const startedAt = performance.now();
    for (const evil of ['<', '<a>;', '<a>; b=c;', '<a>; rel=']) nextPage(evil.repeat(2000));
    assert.equal(performance.now() - startedAt < 500, true);
  });
});

describe('listQueryString', () => {
  const digest = digestOf(Buffer.from('x'));
  const rows: readonly (readonly [string, ListQuery, string])[] = [
    ['nothing', { kind: 'tags' }, ''],
    ['a page', { kind: 'tags', limit: 5, last: 'a b&c' }, '?n=5&last=a+b%26c'],
    ['too many at once', { kind: 'catalog', limit: 1_000_000 }, '?n=10000'],
    ['a followed link', { kind: 'tags', limit: 5, page: 'n=2&next_page=x' }, '?n=2&next_page=x'],
    ['a followed link that asks for too many', { kind: 'tags', page: 'n=99999999&last=x' }, '?last=x&n=10000'],
    ['a followed link as it was written', { kind: 'tags', page: "t='%zz'+%2B/=~&b&ns=x" }, "?t='%zz'+%2B/=~&b"],
    ['a page with what no request can hold', { kind: 'tags', page: 'last=a b\u00e9#' }, '?last=a%20b%E9%23'],
    ['referrers', { kind: 'referrers', digest }, ''],
    ['referrers of a type', { kind: 'referrers', digest, artifactType: 'a/b+c' }, '?artifactType=a%2Fb%2Bc'],
    ['a page of referrers', { kind: 'referrers', digest, artifactType: 'a', page: 'x=1' }, '?x=1&artifactType=a'],
  ];
  for (const [why, query, expected] of rows) {
    test(why, () => assert.equal(listQueryString(query), expected));
  }
});
