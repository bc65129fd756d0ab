import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as z from 'zod';
import { optionName, options } from './options.ts';
import { type Option, outline } from './outline.ts';
import { configSchema } from './schema.ts';

function namesOf(list: readonly Option[]): readonly string[] {
  return list.flatMap(({ path, options: inner }) => [path.at(-1) ?? '', ...namesOf(inner)]);
}

describe('options()', () => {
  test('renames each option of the definition, and optionName() gives its name back', () => {
    for (const name of namesOf(outline(configSchema))) {
      const [key = ''] = Object.keys(options({ [name]: z.number() }).parse({ [name]: 1 }));
      assert.doesNotMatch(key, /_/);
      assert.equal(optionName(key), name);
    }
  });

  test('leaves a missing option out, and refuses the spelling of the program', () => {
    const section = options({ max_size: z.number().optional() });
    assert.deepEqual(section.parse({ max_size: undefined }), {});
    assert.equal(section.safeParse({ maxSize: 1 }).success, false);
  });
});
