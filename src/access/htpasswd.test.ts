import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseHtpasswd } from './htpasswd.ts';

const HASH = '$2y$10$oP8azoNm4UjZKWEP.PxxcOGvfkutczrqEq7PcG9e2SZfurvDXCPDi';

describe('parseHtpasswd()', () => {
  test('reads bcrypt lines, comments and line ends of both kinds', () => {
    const { users, problems } = parseHtpasswd(`# team\r\nalice:${HASH}\r\n\nbob:${HASH.replace('2y', '2b')}`);
    assert.deepEqual(problems, []);
    assert.deepEqual([...users.keys()], ['alice', 'bob']);
    assert.equal(users.get('alice'), HASH);
  });

  for (const [line, expected] of [
    ['a:$apr1$x$y', /MD5/],
    ['a:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', /SHA-1/],
    ['a:$6$salt$hash', /SHA-crypt/],
    ['a:rqXexS6ZhobKA', /crypt/],
    ['a:secret', /plain text/],
    ['a:$2y$10$short', /not complete/],
    [`a:${HASH.replace('$10$', '$20$')}`, /cost of 20/],
    ['secret', /no colon/],
    [`anonymous:${HASH}`, /every client/],
    [`al\u200bice:${HASH}`, /invisible character \(U\+200B\)/],
    [`zoe\u0308:${HASH}`, /form NFC/],
    [`@a:${HASH}`, /name of a user/],
    [`:${HASH}`, /name of a user/],
  ] as const) {
    test(`refuses ${line.slice(0, 20)} by its line, without quoting it`, () => {
      const { users, problems } = parseHtpasswd(`ok:${HASH}\n${line}\n`);
      assert.deepEqual([...users.keys()], ['ok']);
      assert.equal(problems[0]?.line, 2);
      assert.match(problems[0]?.message ?? '', expected);
      assert.doesNotMatch(problems[0]?.message ?? '', /secret|rqXex|5en6/);
    });
  }

  test('refuses a second line for one user', () => {
    assert.match(parseHtpasswd(`a:${HASH}\na:${HASH}`).problems[0]?.message ?? '', /already/);
  });
});
