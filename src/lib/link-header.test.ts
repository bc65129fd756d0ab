import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseLinks } from './link-header.ts';

describe('parseLinks()', () => {
  const rows: readonly [header: string, links: readonly (readonly [target: string, ...relations: string[]])[]][] = [
    ['</a?n=2>; rel="next"', [['/a?n=2', 'next']]],
    ['</a>; rel=next', [['/a', 'next']]],
    ['</a>;rel=next', [['/a', 'next']]],
    ['</a> ; REL = "Next"', [['/a', 'next']]],
    ['</a>; rel="next last"', [['/a', 'next', 'last']]],
    ['</a>; rel="  prev   next "', [['/a', 'prev', 'next']]],
    ['</a>; title="a, b"; rel="next"', [['/a', 'next']]],
    ['</a>; title="a; rel=prev"; rel="next"', [['/a', 'next']]],
    ['</a>; title="say \\"hi\\", </b>; rel=prev"; rel="next"', [['/a', 'next']]],
    ['</a>; title="\\\\"; rel="next"', [['/a', 'next']]],
    ["</a>; title*=UTF-8''a%2Cb; rel=next", [['/a', 'next']]],
    ['</a>; rel="next"; title="x"', [['/a', 'next']]],
    ['</a>; rel="ne\\xt"', [['/a', 'next']]],
    ['</a>; nofollow; rel=next', [['/a', 'next']]],
    ['</a>;; rel=next;', [['/a', 'next']]],
    ['</a>; rel=prev; rel=next', [['/a', 'prev']]],
    ['</a>; rel', [['/a']]],
    ['</a>; rel=', [['/a']]],
    ['</a>; rel=""', [['/a']]],
    ['</a>', [['/a']]],
    ['<>; rel=self', [['', 'self']]],
    ['</a,b;c?d=e,f>; rel=next', [['/a,b;c?d=e,f', 'next']]],
    [
      '</a>; rel=prev, </b>; rel="next"',
      [
        ['/a', 'prev'],
        ['/b', 'next'],
      ],
    ],
    ['</a>; title="x, y",, </b>; rel=next,', [['/a'], ['/b', 'next']]],
    // Of another context than this page.
    ['</a>; anchor="/other"; rel=next', [['/a']]],
    // What cannot be read is skipped.
    ['nonsense, </b>; rel=next', [['/b', 'next']]],
    ['"</a>; rel=next", </b>; rel=next', [['/b', 'next']]],
    ['</a>; rel="next, </b>; rel=next', [['/a'], ['/b', 'next']]],
    ['</a; rel=next', []],
    ['', []],
    [',,,', []],
  ];
  for (const [header, links] of rows) {
    test(header === '' ? 'nothing' : header, () => {
      assert.deepEqual(
        parseLinks(header).map(({ target, relations }) => [target, ...relations]),
        links,
      );
    });
  }

  test('says where each target stands, whatever the header is, and in time that grows with its length', () => {
    const piece = fc.constantFrom('<', '>', '</a>', '"', '\\', ',', ';', '=', ' ', 'rel', 'next', '; rel="next"', 'x');
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 30 }).map((each) => each.join('')),
        (header) => {
          for (const { target, index } of parseLinks(header)) {
            assert.equal(header.slice(index - 1, index + target.length + 1), `<${target}>`);
          }
        },
      ),
      { numRuns: 5000 },
    );
    const startedAt = performance.now();
    for (const evil of ['<', '"', '<a>;', '<a>; b=c;', '<a>; rel="', '"\\', ' ', '<a>; ', ',"']) {
      parseLinks(evil.repeat(8192 / evil.length));
    }
    assert.ok(performance.now() - startedAt < 1000);
  });
});
