import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { stringify as stringifyToml } from 'smol-toml';
import { stringify as stringifyYaml } from 'yaml';
import type { EditedFile, Setting } from '../../clients/index.ts';
import { editFile, parseFile } from './edit.ts';
import { isSet } from './settings.ts';

const ADDRESS = 'http://m:5000';

/** Asserts that the text is the old one with something put in at one place. */
function assertInserted(before: string, after: string): void {
  let head = 0;
  while (head < before.length && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < before.length - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  assert.equal(head + tail, before.length, `more than one place changed:\n${before}\n--- and now ---\n${after}`);
}

interface Case {
  readonly format: EditedFile['format'];
  readonly setting: Setting;
  readonly texts: fc.Arbitrary<string>;
}

const key = fc.oneof(
  fc.constantFrom('docker.io', 'a b', '"q"', 'ü', 'dns', '[x]', '{y', '#z'),
  fc.string({ minLength: 1 }),
);
const word = fc.oneof(
  fc.constantFrom('x', '# no comment', ']', '}', '"', "'''", '[registry."docker.io"]', '- a', 'a: b'),
  fc.string(),
);
const list = fc.array(word, { minLength: 1, maxLength: 3 });
const eol = fc.constantFrom('\n', '\r\n');

const json = fc
  .tuple(
    fc.dictionary(key, fc.oneof(word, fc.boolean(), list, fc.dictionary(key, list))),
    fc.option(list),
    fc.constantFrom(0, 2, 4, '\t'),
    eol,
  )
  .map(([others, mirrors, indent, end]) => {
    const data = { ...others, ...(mirrors && { 'registry-mirrors': mirrors }) };
    return JSON.stringify({ last: 1, ...data }, null, indent).replaceAll('\n', end);
  });

const toml = fc
  .tuple(fc.dictionary(key, fc.oneof(word, fc.boolean(), list)), fc.dictionary(key, list), fc.option(list), eol)
  .map(([top, tables, mirrors, end]) => {
    const { registry: _, ...others } = top;
    const table = { ...tables, ...(mirrors && { 'docker.io': { mirrors } }) };
    const registry = Object.fromEntries(
      Object.entries(table).map(([name, each]) => [name, Array.isArray(each) ? { mirrors: each } : each]),
    );
    return stringifyToml({ ...others, registry }).replaceAll('\n', end);
  });

const yaml = fc
  .tuple(
    fc.dictionary(key, fc.oneof(word, list)),
    fc.dictionary(key, fc.record({ endpoint: list }), { minKeys: 1 }),
    fc.constantFrom(2, 4),
  )
  .map(([others, mirrors, indent]) => stringifyYaml({ ...others, mirrors }, { indent, lineWidth: 0 }));

const CASES: readonly Case[] = [
  { format: 'json', setting: { at: ['registry-mirrors'], first: ADDRESS }, texts: json },
  { format: 'toml', setting: { at: ['registry', 'docker.io', 'mirrors'], first: ADDRESS }, texts: toml },
  { format: 'yaml', setting: { at: ['mirrors', 'docker.io', 'endpoint'], first: ADDRESS }, texts: yaml },
];

describe('editFile(), whatever the file says', () => {
  for (const { format, setting, texts } of CASES) {
    test(`${format}: puts the setting in at one place, and changes no other byte`, () => {
      let changed = 0;
      fc.assert(
        fc.property(texts, (before) => {
          const edited = editFile({ format, settings: [setting], content: 'unused' }, before);
          if (edited.kind !== 'changed') return;
          changed++;
          assertInserted(before, edited.text);
          assert.ok(isSet(parseFile(format, edited.text), setting));
        }),
        { numRuns: 300 },
      );
      assert.ok(changed > 250, `refused all but ${changed}`);
    });
  }
});
