import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { ImageListError, readImageLists } from './index.ts';

const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const image = fc
  .tuple(fc.array(word, { minLength: 1, maxLength: 3 }), fc.option(fc.stringMatching(/^[A-Za-z0-9_][\w.-]{0,10}$/)))
  .map(([path, tag]) => `${path.join('/')}${tag === null ? '' : `:${tag}`}`);
const images = fc.uniqueArray(image, { minLength: 1, maxLength: 12 });

function namesIn(text: string): readonly string[] {
  return readImageLists([{ name: 'text', text }]).images.map(({ image }) => image);
}

describe('every image that is written is found, once and in order', () => {
  test('in a list', () => {
    fc.assert(
      fc.property(images, (each) => {
        fc.pre(each[0] !== 'from' && each[0] !== 'arg');
        assert.deepEqual(namesIn(each.join(' # why\n\n# and\n')), each);
      }),
    );
  });

  test('in a Compose file, whatever style it is written in', () => {
    fc.assert(
      fc.property(images, fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE'), (each, style) => {
        const services = Object.fromEntries(each.map((name, index) => [`s${index}`, { image: name }]));
        assert.deepEqual(namesIn(stringify({ services }, { defaultStringType: style })), each);
        assert.deepEqual(namesIn(JSON.stringify({ services }, null, '\t')), each);
      }),
    );
  });

  test('in manifests, on the line where it stands', () => {
    fc.assert(
      fc.property(images, fc.integer({ min: 0, max: 5 }), (each, comments) => {
        const documents = each.map(
          (name) =>
            `${'# a comment\n'.repeat(comments)}apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: c\n    image: ${JSON.stringify(name)}\n`,
        );
        const text = documents.join('---\n');
        const found = readImageLists([{ name: 'text', text }]).images;
        assert.deepEqual(
          found.map(({ image }) => image),
          each,
        );
        const lines = text.split('\n');
        for (const { image, line } of found) assert.ok(lines[line - 1]?.includes(JSON.stringify(image)));
      }),
    );
  });

  test('in a Dockerfile, unless it is a stage', () => {
    fc.assert(
      fc.property(images, (each) => {
        const wanted = each.filter((name) => name !== 'scratch');
        const text = each.map((name, index) => `FROM ${name} AS stage-${index}\nCOPY --from=stage-${index} / /\n`);
        assert.deepEqual(namesIn(text.join('')), wanted);
      }),
    );
  });
});

test('any text is read or refused with a line of it', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(
      'services:\n',
      '  a:\n',
      '    image: ',
      'apiVersion: v1\nkind: Pod\n',
      '---\n',
      '&a ',
      '*a',
      '<<: ',
      'FROM ',
      'ARG A=',
      '${A:-',
      '}',
      'RUN <<E\n',
      '\\\n',
      '{{',
      '- ',
      '"',
      '\t',
      '\n',
    ),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join('');
      try {
        for (const { image, line } of readImageLists([{ name: 'text', text }]).images) {
          assert.ok(line >= 1 && line <= text.split('\n').length, `${line} of ${JSON.stringify(text)}`);
          assert.match(image, /^[\w.:/@[\]-]+$/);
        }
      } catch (error) {
        assert.ok(error instanceof ImageListError, String(error));
        assert.ok(error.place.line >= 1 && error.place.line <= text.split('\n').length + 1, error.message);
      }
    }),
    { numRuns: 3000 },
  );
});
