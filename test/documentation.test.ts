import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../src/config/index.ts';
import { metricsTable } from '../src/telemetry/metrics-reference.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Each Chinese page beside its English one. A page that is written before its English one is compared once that exists. */
const translations = [
  { english: 'README.md', chinese: 'README.zh-CN.md' },
  ...globSync('docs/zh-CN/**/*.md', { cwd: root }).map((chinese) => ({
    english: chinese.replace('docs/zh-CN/', 'docs/'),
    chinese,
  })),
].filter(({ english }) => existsSync(join(root, english)));

const pages = [
  ...globSync(['*.md', 'docs/*.md', 'docs/{clients,deployment,migrating}/*.md', 'deploy/**/*.md'], {
    cwd: root,
  }).filter((page) => page !== 'README.zh-CN.md'),
  ...translations.map(({ chinese }) => chinese),
].sort();

describe('the pages', () => {
  test('link to files and headings that are there', () => {
    assert.ok(pages.length > 10, `${pages.length} pages`);
    const broken = pages.flatMap((page) => linksOf(read(page)).flatMap((link) => complaint(page, link)));
    assert.deepEqual(broken, []);
  });

  test('speak of no metric that is not there', async () => {
    const known = new Set(namesOf(await metricsTable()));
    assert.ok(known.size > 30, `${known.size} metrics`);
    const unknown = [...pages, ...globSync('deploy/**/*.{yml,json}', { cwd: root })].flatMap((page) =>
      namesOf(read(page))
        .filter((name) => !known.has(name) && !/^entrepot_(process|nodejs)_/.test(name))
        .map((name) => `${page}: ${name}`),
    );
    assert.deepEqual(unknown, []);
  });
});

describe('the English of pages, comments, messages and test titles', () => {
  // In parts, as this file is read too.
  const words = ['no-body', 'some-body', 'any-body', 'who-ever', 'a-new'].map((word) => word.replace('-', ''));
  const vague = new RegExp(`\\b(?:${words.join('|')})\\b`, 'i');

  test('names its subjects', () => {
    const files = globSync(
      ['{src,test,scripts,bench}/**/*.ts', 'bin/*', '*.md', '{docs,deploy,examples}/**/*.{md,yaml,yml}'],
      {
        cwd: root,
      },
    );
    assert.ok(files.length > 900, `${files.length} files`);
    const found = files.flatMap((file) =>
      read(file)
        .split('\n')
        .flatMap((line, at) => (vague.test(line) ? [`${file}:${at + 1}: ${line.trim()}`] : [])),
    );
    assert.deepEqual(found, []);
  });

  test('is refused by word, in any case', () => {
    for (const word of words) assert.match(`it is ${word.toUpperCase()}.`, vague);
    assert.doesNotMatch('a newer one, and everybody', vague);
  });
});

describe('the cache directory of the systemd unit', () => {
  test('is the one that every page, example and help text names', async () => {
    const unit = read('deploy/systemd/entrepot.service');
    assert.match(unit, /^StateDirectory=entrepot\nCacheDirectory=entrepot\nWorkingDirectory=%S\/entrepot$/m);
    // systemd.exec(5): %S is /var/lib for a system service. The default of cache.dir is relative to the working directory.
    const directory = await defaultDirectoryIn('/var/lib/entrepot');
    assert.equal(directory, '/var/lib/entrepot/data');
    const texts = [
      ...pages,
      ...globSync(['examples/*.yaml', 'deploy/systemd/*', 'src/cli/commands/**/*.ts', 'schema/*.json'], { cwd: root }),
    ];
    const others = texts.flatMap((text) =>
      Array.from(read(text).matchAll(/\/var\/lib\/entrepot[\w/-]*/g), ([path]) => path)
        .filter((path) => path !== directory && !path.startsWith(`${directory}/`))
        .map((path) => `${text}: ${path}`),
    );
    assert.deepEqual(others, []);
  });
});

describe('each Chinese page and its English one', () => {
  assert.ok(translations.length >= 4, `${translations.length} translations`);
  for (const { english, chinese } of translations) {
    describe(chinese, () => {
      const [source, translation] = [withoutGenerated(read(english)), withoutGenerated(read(chinese))];

      test('link to each other in their first lines', () => {
        assert.deepEqual(
          linksAtTop(english).filter((link) => link === chinese),
          [chinese],
        );
        assert.deepEqual(
          linksAtTop(chinese).filter((link) => link === english),
          [english],
        );
      });

      test('have the same headings, by number, level and order', () => {
        assert.deepEqual(levelsOf(translation), levelsOf(source), headingsOf(translation).join('\n'));
      });

      test('have the same code, comments aside', () => {
        assert.deepEqual(codeOf(translation), codeOf(source));
      });

      test('lead to the same pages', () => {
        assert.deepEqual(targetsOf(chinese, translation), targetsOf(english, source));
      });

      test('name the same options, commands and messages', () => {
        assert.deepEqual(spansOf(translation), spansOf(source));
      });
    });
  }
});

describe('the checks bite', () => {
  test('on links', () => {
    assert.deepEqual(complaint('docs/cache.md', 'nothing.md'), ['docs/cache.md: nothing.md is not there']);
    assert.deepEqual(complaint('docs/cache.md', 'check.md#nothing'), [
      'docs/cache.md: check.md#nothing has no such heading',
    ]);
    assert.deepEqual(complaint('docs/cache.md', '#corruption'), []);
    assert.deepEqual(complaint('docs/cache.md', 'https://example.com/nothing'), []);
  });

  test('on headings as GitHub names them', () => {
    assert.deepEqual(anchorsOf('# A `--flag`, and [more](x.md)\n```sh\n# no heading\n```\n## 二\n'), [
      'a---flag-and-more',
      '二',
    ]);
  });

  test('on headings of another level, and on code that differs in more than a comment', () => {
    assert.deepEqual(levelsOf('# 一\n```sh\n# no heading\n```\n### 二\n'), ['#', '###']);
    const code = (line: string): readonly string[] => codeOf(`\`\`\`sh\n${line}\n\`\`\`\n`);
    assert.deepEqual(code('curl -s http://a/#b   # 说明'), code('curl -s http://a/#b # what it does'));
    assert.deepEqual(code('docker pull a      任意'), code('docker pull a      any'));
    assert.notDeepEqual(code('curl -s http://a/#b'), code('curl -s http://a/#c'));
    assert.notDeepEqual(code('  indented: 1'), code('indented: 1'));
  });

  test('on all of a page but its generated table and remarks', () => {
    assert.equal(
      withoutGenerated('<!-- `a` -->`b`\n<!-- options: generated by x -->\n`c`\n<!-- end of options -->\n'),
      '`b`\n\n',
    );
  });
});

async function defaultDirectoryIn(cwd: string): Promise<string> {
  const { config } = await loadConfig({ cwd, env: {}, flags: {} });
  return config.cache === 'off' ? '' : resolve(cwd, config.cache.dir);
}

function complaint(page: string, link: string): string[] {
  if (/^[a-z]+:/.test(link)) return [];
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? page : normalize(join(dirname(page), path));
  if (!existsSync(join(root, target))) return [`${page}: ${link} is not there`];
  if (anchor === undefined || anchorsOf(read(target)).includes(anchor)) return [];
  return [`${page}: ${link} has no such heading`];
}

function linksOf(page: string): string[] {
  return Array.from(withoutFences(page).matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => link as string);
}

/** The files a page links to, each once and in English; without itself. */
function targetsOf(page: string, text: string): string[] {
  const english = (path: string): string => translations.find(({ chinese }) => chinese === path)?.english ?? path;
  const paths = linksOf(text)
    .map((link) => link.replace(/#.*/, ''))
    .filter((path) => path !== '')
    .map((path) => (path.includes(':') ? path : english(normalize(join(dirname(page), path)))));
  return [...new Set(paths)].filter((path) => path !== english(page)).sort();
}

/** Where the links above a page's first second-level heading lead, from the root. */
function linksAtTop(page: string): string[] {
  const top = read(page).split(/^## /m)[0] ?? '';
  return linksOf(top).map((link) => normalize(join(dirname(page), link)));
}

function headingsOf(page: string): string[] {
  return withoutFences(page).match(/^#+ .*$/gm) ?? [];
}

function levelsOf(page: string): string[] {
  return headingsOf(page).map((heading) => heading.replace(/ .*/, ''));
}

function anchorsOf(page: string): string[] {
  return headingsOf(page).map((heading) =>
    heading
      .replace(/^#+ /, '')
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The lines of all code blocks, without what is for readers: comments, and words two spaces behind a command. */
function codeOf(page: string): string[] {
  const fences = page.match(/^```[\s\S]*?^```/gm) ?? [];
  return fences.flatMap((fence) => fence.split('\n').map((line) => line.replace(/(?<=\S)(?: {2,}| +#).*$/, '')));
}

/** What stands in backticks in the text, each once; without what is written there for a reader to replace. */
function spansOf(page: string): string[] {
  const spans = Array.from(withoutFences(page).matchAll(/`([^`]+)`/g), ([, span = '']) =>
    span.replace(/ (IMAGE|镜像)…$/, ''),
  );
  return [...new Set(spans)].sort();
}

function withoutFences(page: string): string {
  return page.replace(/^```[\s\S]*?^```/gm, '');
}

/** Tables that the code writes stand in the English page alone; remarks about how a page is written may differ. */
function withoutGenerated(page: string): string {
  return page.replace(/<!-- (\w+): generated [\s\S]*?<!-- end of \1 -->/g, '').replace(/<!--[\s\S]*?-->/g, '');
}

function namesOf(text: string): string[] {
  // A histogram is known by its name, its samples by these endings.
  return (text.match(/\bentrepot_[a-z0-9_]+/g) ?? []).map((name) =>
    name.replace(/_seconds_(?:bucket|sum|count)$/, '_seconds'),
  );
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
