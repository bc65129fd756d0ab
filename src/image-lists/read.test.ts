import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ImageListError, readImageLists } from './index.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/image-lists', import.meta.url));

/** Found images and notes, a line each: `12 nginx`, `12 ! why`. */
function read(text: string, name = 'list'): readonly string[] {
  const { images, notes } = readImageLists([{ name, text }]);
  return [
    ...images.map(({ line, image }) => `${line} ${image}`),
    ...notes.map(({ line, message }) => `${line} ! ${message}`),
  ];
}

describe('the shapes of public projects', () => {
  const names = readdirSync(fixtures).filter((name) => !name.endsWith('.expected'));
  test('are twenty', () => assert.equal(names.length, 20));

  for (const name of names) {
    const text = readFileSync(join(fixtures, name), 'utf8');
    const expected = readFileSync(join(fixtures, `${name}.expected`), 'utf8')
      .trimEnd()
      .split('\n');
    for (const [ends, given] of [
      ['', text],
      [', with the line ends of Windows', `\u{feff}${text.replaceAll('\n', '\r\n')}`],
    ] as const) {
      test(`${name}${ends}: what is found is the list made by hand`, () => {
        const found = read(given, name);
        const [images, notes] = [
          expected.filter((line) => !/^\d+ !/.test(line)),
          expected.filter((line) => /^\d+ !/.test(line)),
        ];
        assert.deepEqual(found.slice(0, images.length), images);
        assert.equal(found.length, expected.length, found.join('\n'));
        for (const [index, note] of notes.entries()) {
          const has = found[images.length + index] ?? '';
          assert.ok(has.startsWith(note), `${has}\nexpected ${note}`);
        }
      });
    }
  }
});

describe('several texts', () => {
  test('an image is listed where it stands first', () => {
    const { images } = readImageLists([
      { name: 'one', text: 'nginx\n' },
      { name: 'two', text: 'services: {a: {image: redis}, b: {image: nginx}}\n' },
    ]);
    assert.deepEqual(images, [
      { image: 'nginx', file: 'one', line: 1 },
      { image: 'redis', file: 'two', line: 1 },
    ]);
  });

  test('a Compose file overrides none before it: no image is missed', () => {
    const { images } = readImageLists([
      { name: 'a', text: 'services:\n  db: {image: postgres:16}\n' },
      { name: 'b', text: 'services:\n  db: {image: postgres:17}\n' },
    ]);
    assert.deepEqual(
      images.map(({ image }) => image),
      ['postgres:16', 'postgres:17'],
    );
  });
});

describe('what is refused, with its line', () => {
  const pod = 'apiVersion: v1\nkind: Pod\n';
  for (const [what, text, line, message] of [
    ['a list with a table in it', 'nginx\nREPOSITORY TAG\n', 2, /several words/],
    ['a list with a path in it', 'nginx\n../etc/passwd\n', 2, /no name of an image/],
    ['a list with an escape sequence', 'nginx\n\u001b[31mred\n', 2, /"\?\[31mred" is no name/],
    ['bytes', 'nginx\nre\0dis\n', 2, /zero byte/],
    [
      'a chart that is not rendered',
      'apiVersion: v1\nkind: Pod\nspec:\n  {{- include "x" . }}\n  a: b\n',
      4,
      /helm template/,
    ],
    ['values of a chart', 'image:\n  repository: nginx\n', 1, /helm template/],
    ["another program's YAML", 'a: b\n---\nc: d\n', 1, /neither a list of images/],
    ['broken YAML', 'services:\n  a: {image: [}\n', 2, /cannot be read as YAML/],
    ['an alias without its anchor', `${pod}spec: *gone\n`, 3, /whose anchor "&gone" does not come before it/],
    ['an alias of a value within itself', `${pod}spec: &a [*a]\n`, 3, /whose anchor "&a"/],
    ['a merge of no map', `${pod}spec: {<<: text}\n`, 3, /"<<" without a map/],
    ['FROM without an image', 'FROM --platform=linux/amd64\n', 1, /names no image/],
    ['FROM with a word too many', 'FROM a\nFROM nginx latest\n', 2, /expected AS/],
    ['a here-document without an end', 'FROM a\nRUN <<EOF\nx\n', 2, /"EOF" has no end/],
  ] as const) {
    test(what, () => refused(text, { line, message }));
  }
});

describe('hostile texts', () => {
  const deadline = 20_000;
  const pod = 'apiVersion: v1\nkind: Pod\n';
  const laughs = Array.from({ length: 400 }, (_, index) => `  a${index + 1}: &a${index + 1} [*a${index}, *a${index}]`);

  test('aliases of aliases end where they are many, and cost nothing before', { timeout: deadline }, () => {
    const text = `${pod}spec:\n  a0: &a0 {image: nginx, name: x}\n${laughs.join('\n')}\n`;
    assert.deepEqual(read(text), ['4 nginx']);
    const more = Array.from({ length: 201 }, (_, index) => `  b${index}: *a0`).join('\n');
    refused(`${text}${more}\n`, { line: 605, message: /more than 1000 aliases/ });
  });

  test('merges of a large map are counted', { timeout: deadline }, () => {
    const large = Array.from({ length: 20_000 }, (_, index) => `k${index}: v`).join(', ');
    const merges = Array.from({ length: 100 }, (_, index) => `  m${index}: {<<: *large}`).join('\n');
    refused(`${pod}spec:\n  large: &large {${large}}\n${merges}\n`, { line: 53, message: /more than 1000000 values/ });
  });

  for (const [what, text, message] of [
    ['brackets within brackets', '['.repeat(1_000_000), /levels|cannot be read/],
    ['lists within lists', `${'- '.repeat(100_000)}x`, /levels|cannot be read/],
    ['lists within lists, a few', `${'- '.repeat(102)}x`, /more than 100 levels/],
    ['documents', '---\n- a\n'.repeat(1001), /more than 1000 documents/],
    ['more than 4 MiB', `${'# \n'.repeat(1_500_000)}nginx`, /more than 4 MiB/],
    ['more than 4 MiB of two bytes a character', `nginx # ${'ü'.repeat(2_200_000)}`, /more than 4 MiB/],
    ['images', Array.from({ length: 10_001 }, (_, index) => `i${index}`).join('\n'), /more than 10000 images/],
    ['an instruction', `FROM a\nRUN ${'x'.repeat(300_000)}`, /more than 256 KiB/],
    ['a quote that does not end', `FROM a\nLABEL ${`"'`.repeat(200_000)}`, /more than 256 KiB/],
  ] as const) {
    test(`too many: ${what}`, { timeout: deadline }, () => {
      assert.throws(
        () => read(text),
        (error) => error instanceof ImageListError && message.test(error.message),
      );
    });
  }

  for (const [what, text] of [
    [
      'a million keys of one map',
      `services: {${Array.from({ length: 300_000 }, (_, index) => `k${index}: {}`).join(', ')}}`,
    ],
    ['defaults within defaults', `services: {a: {image: "${'${A:-'.repeat(150)}nginx${'}'.repeat(150)}"}}`],
    ['a long name', `services: {a: {image: "${'$'.repeat(1_000_000)}"}}`],
    ['many here-documents', `FROM a\n${'RUN <<A\nA\n'.repeat(200_000)}`],
    ['continuations', `FROM a\n${`RUN x\\\n#\n\n`.repeat(200_000)}`],
    ['ARG of one word', `ARG ${'a'.repeat(200_000)}!\nFROM a`],
    ['ONBUILD of ONBUILD', `FROM a\n${'ONBUILD '.repeat(30_000)}RUN x`],
    ['spaces', `FROM${' '.repeat(200_000)}a`],
  ] as const) {
    test(`are read in time: ${what}`, { timeout: deadline }, () => {
      const startedAt = performance.now();
      try {
        read(text);
      } catch (error) {
        assert.ok(error instanceof ImageListError, String(error));
      }
      assert.ok(performance.now() - startedAt < deadline);
    });
  }

  test('notes are bounded', () => {
    const steps = Array.from({ length: 1500 }, () => '- {name: a, image: $(x)}').join('\n');
    const found = read(`${pod}spec:\n  containers:\n${steps.replace(/^/gm, '  ')}\n`);
    assert.equal(found.length, 1001);
    assert.match(found.at(-1) ?? '', /more than 1000 entries were left out/);
  });
});

function refused(text: string, { line, message }: { readonly line: number; readonly message: RegExp }): void {
  assert.throws(
    () => read(text),
    (error) => {
      assert.ok(error instanceof ImageListError, String(error));
      assert.match(error.message, message);
      assert.equal(error.place.line, line, error.message);
      return true;
    },
  );
}
