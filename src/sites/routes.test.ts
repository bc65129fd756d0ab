import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import { hrefOf, type WrittenUrl } from '../net/index.ts';
import type { MirrorSpec } from '../upstream/index.ts';
import { MirrorRoutes } from './routes.ts';

function spec(prefix: string, upstream: string): MirrorSpec {
  return {
    name: prefix.slice(1),
    prefix,
    upstream: upstreamSpec({ name: prefix.slice(1), url: upstream, capabilities: ['pull'] }),
    preserveHost: false,
    methods: ['GET'],
    cache: { enabled: true, immutable: [] },
  };
}

function written(url: string): WrittenUrl {
  return { url: new URL(url), target: url.replace(/^https?:\/\/[^/]*/, '') };
}

const routes = new MirrorRoutes([
  spec('/gh', 'https://github.com'),
  spec('/gh/raw', 'https://raw.githubusercontent.com'),
  spec('/deep', 'http://10.0.0.1:8080/base/path'),
  spec('/hf', 'https://huggingface.co'),
]);

describe('a path', () => {
  const rows = [
    ['/gh/a/b', '', 'gh', 'https://github.com/a/b'],
    ['/gh', '', 'gh', 'https://github.com/'],
    ['/gh/', 'q=1', 'gh', 'https://github.com/?q=1'],
    ['/gh/raw/x', '', 'gh/raw', 'https://raw.githubusercontent.com/x'],
    ['/gh/rawer', '', 'gh', 'https://github.com/rawer'],
    ['/gh//double//slash', '', 'gh', 'https://github.com//double//slash'],
    ['/gh/http://elsewhere/x', '', 'gh', 'https://github.com/http://elsewhere/x'],
    ['/gh/a%2Fb%2e', 'x=%2F&y=/../', 'gh', 'https://github.com/a%2Fb%2e?x=%2F&y=/../'],
    ['/gh/a/..b/...', '', 'gh', 'https://github.com/a/..b/...'],
    ['/gh/@v;p=1', '', 'gh', 'https://github.com/@v;p=1'],
    ['/deep', '', 'deep', 'http://10.0.0.1:8080/base/path'],
    ['/deep/x', '', 'deep', 'http://10.0.0.1:8080/base/path/x'],
    ["/gh/it's|a^`{b}<c>", "x='y'|z&%27", 'gh', "https://github.com/it's|a^`{b}<c>?x='y'|z&%27"],
    ['/gh/%7ea%zz', '?', 'gh', 'https://github.com/%7ea%zz??'],
    ['/gh/caf\xc3\xa9', 'q=\xc3\xa9', 'gh', 'https://github.com/caf%C3%A9?q=%C3%A9'],
  ] as const;
  for (const [path, query, name, url] of rows) {
    test(`${path}?${query} is ${url}`, () => {
      const match = routes.match(path, query === '' ? undefined : query);
      assert.ok(match?.at !== undefined);
      assert.deepEqual([match.route.name, hrefOf(match.at)], [name, url]);
    });
  }

  for (const path of ['/', '/ghx', '/GH/a', '/g', '/v2/', '/%67h/a']) {
    test(`${path} belongs to no route`, () => assert.equal(routes.match(path, ''), undefined));
  }

  for (const path of [
    '/gh/..',
    '/gh/../deep',
    '/gh/a/../b',
    '/gh/./a',
    '/gh/%2e%2e/a',
    '/gh/.%2E/a',
    '/gh/a\\..\\b',
    '/gh/a\\b',
    '/gh/..%2fa',
    '/gh/a%2F..%2Fb',
    '/gh/a%5c%2e%2e%5Cb',
    '/gh/..;/a',
    '/gh/a/..%3bx/b',
    '/gh/a b',
    '/gh/文',
    '/gh/a#b',
    '/gh/a"b',
  ]) {
    test(`${path} is no path to ask for`, () => {
      const match = routes.match(path, '');
      assert.deepEqual([match?.route.name, match?.at], ['gh', undefined]);
    });
  }

  test('nor is a query with what no query can have', () => {
    assert.equal(routes.match('/gh/a', 'b c')?.at, undefined);
    assert.equal(routes.match('/gh/a', 'b="c"')?.at?.target, '/a?b="c"');
  });
});

test('a path is immutable where a pattern of its route says so, which begins behind the prefix', () => {
  const github = {
    ...spec('/gh', 'https://github.com'),
    cache: { enabled: true, immutable: ['/*/*/releases/download/**', '/x'] },
  };
  const match = (path: string) => new MirrorRoutes([github]).match(path, '')?.immutable;
  assert.equal(match('/gh/o/r/releases/download/v1/a/b'), true);
  assert.equal(match('/gh/o/r/s/releases/download/v1/a'), false);
  assert.equal(match('/gh/x'), true);
  assert.equal(match('/gh/xy'), false);
});

test('an empty query is a query', () => {
  assert.equal(routes.match('/gh/a', '')?.at?.target, '/a?');
  assert.equal(routes.match('/deep', '')?.at?.target, '/base/path?');
});

describe('a URL that several routes could have', () => {
  const several = new MirrorRoutes([
    spec('/one', 'https://site.test'),
    spec('/two', 'https://site.test'),
    spec('/two/deep', 'https://other.test'),
  ]);
  const pathOf = (url: string, asked?: string) =>
    several.pathOf(
      written(url),
      several.specs.find(({ prefix }) => prefix === asked),
    );
  test('stays with the one whose site named it', () => {
    assert.equal(pathOf('https://site.test/a'), '/one/a');
    assert.equal(pathOf('https://site.test/a', '/one'), '/one/a');
    assert.equal(pathOf('https://site.test/a', '/two'), '/two/a');
  });
  test('is not found where another route begins', () => {
    assert.equal(pathOf('https://site.test/deep/a', '/two'), '/one/deep/a');
    assert.equal(pathOf('https://other.test/a', '/two'), '/two/deep/a');
    const alone = new MirrorRoutes([spec('/two', 'https://site.test'), spec('/two/deep', 'https://other.test')]);
    assert.equal(alone.pathOf(written('https://site.test/deep/a')), undefined);
    assert.equal(alone.pathOf(written('https://site.test/deeper')), '/two/deeper');
  });
  test('belongs to no route with a user name in it', () =>
    assert.equal(pathOf('https://me:secret@site.test/a'), undefined));
});

describe('a URL of a site', () => {
  const rows = [
    ["https://github.com/a/b?c='", "/gh/a/b?c='"],
    ['https://github.com/a/../b?', '/gh/b?'],
    ['https://github.com/', '/gh/'],
    ['https://raw.githubusercontent.com/x', '/gh/raw/x'],
    ['http://10.0.0.1:8080/base/path/x', '/deep/x'],
    ['http://10.0.0.1:8080/base/path', '/deep'],
    ['http://10.0.0.1:8080/base/pathology', undefined],
    ['http://10.0.0.1:8080/', undefined],
    ['http://github.com/a', undefined],
    ['https://github.com:8443/a', undefined],
    ['https://codeload.github.com/a', undefined],
  ] as const;
  for (const [url, path] of rows) {
    test(`${url} is ${path ?? 'nowhere here'}`, () => assert.equal(routes.pathOf(written(url)), path));
  }
});
