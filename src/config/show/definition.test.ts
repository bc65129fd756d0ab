import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { variableNames } from '../read/environment.ts';
import { loadConfig } from '../read/load.ts';
import { configSchema } from '../schema/index.ts';
import { markOf, type Option, outline, schemasAt } from '../schema/outline.ts';
import { defaultFile } from './default-file.ts';
import { jsonSchema } from './json-schema.ts';
import { referenceTable } from './reference.ts';

const EXAMPLES = new URL('../../../examples/', import.meta.url);
const load = (text: string) =>
  loadConfig({ cwd: '/srv', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text }, checkReferences: false });
const everyOption = (options: readonly Option[]): readonly Option[] =>
  options.flatMap((option) => [option, ...everyOption(option.options)]);

describe('the definition', () => {
  test('describes every option', () => {
    const options = everyOption(outline(configSchema));
    assert.ok(options.length > 60);
    for (const { path, description, type } of options) {
      assert.match(description, /^.{5,}\.$/s, `${path.join('.')} has no description that ends like a sentence`);
      assert.notEqual(type, '', path.join('.'));
    }
  });

  test('says of every value what would do', () => {
    for (const { path, options } of everyOption(outline(configSchema))) {
      if (options.length > 0 || path.includes('<name>')) continue;
      const keys = path.map((key) => (key === '[]' ? 0 : key));
      const [schema] = schemasAt(configSchema, keys);
      assert.ok(schema !== undefined, path.join('.'));
      const item = schemasAt(configSchema, [...keys, 0])[0];
      assert.ok(markOf(schema) ?? (item && markOf(item)), `${path.join('.')} has no mark`);
    }
  });

  test('gives every option outside lists a variable', () => {
    const names = variableNames(outline(configSchema));
    for (const name of [
      'ENTREPOT_LISTEN',
      'ENTREPOT_CACHE__TAGS__FRESH_FOR',
      'ENTREPOT_ALLOW_ANY__DENY',
      'ENTREPOT_REGISTRIES',
    ]) {
      assert.ok(names.includes(name), name);
    }
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.every((name) => /^ENTREPOT_[A-Z0-9_]+$/.test(name)));
  });

  test('has defaults that it accepts itself', () => {
    for (const { path, fallback } of everyOption(outline(configSchema))) {
      if (fallback === undefined) continue;
      const [schema] = schemasAt(
        configSchema,
        path.map((key) => (key === '[]' ? 0 : key)),
      );
      assert.equal(schema?.safeParse(fallback).success, true, path.join('.'));
    }
  });
});

describe('defaultFile()', () => {
  test('says exactly what holds without a file', async () => {
    assert.deepEqual((await load(defaultFile())).config, (await load('')).config);
  });

  test('says the same wherever the file lies', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-default-'));
    t.after(() => rm(directory, { recursive: true }));
    const config = join(directory, 'entrepot.yaml');
    await writeFile(config, defaultFile());
    const cwd = join(directory, 'elsewhere');
    const options = { env: {}, cwd };
    assert.deepEqual(
      (await loadConfig({ ...options, flags: { config } })).config,
      (await loadConfig({ ...options, env: { ENTREPOT_CONFIG: '{}' } })).config,
    );
  });

  test('is still valid with every example uncommented', async () => {
    const text = defaultFile().replace(/^( *)# ([a-z_]+: )/gm, '$1$2');
    assert.notEqual(text, defaultFile());
    const { config } = await load(text);
    assert.equal(config.domainSuffix, 'mirror.example.com');
    assert.ok('apps' in config.registries);
    assert.equal(config.cache !== 'off' && config.cache.maxSize, 50e9);
  });

  test('keeps its lines short and explains every option it shows', () => {
    const lines = defaultFile().split('\n');
    assert.ok(lines.every((line) => line.length <= 120));
    for (const [index, line] of lines.entries()) {
      if (/^ *[a-z_]+:/.test(line)) assert.match(lines[index - 1] ?? '', /^ *# /, line);
    }
  });
});

describe('jsonSchema()', () => {
  test('knows each option, refuses others, and takes keys without a value', () => {
    const schema = jsonSchema() as {
      type: string;
      additionalProperties: boolean;
      properties: Record<string, { type?: unknown }>;
    };
    assert.equal(schema.type, 'object');
    assert.equal(schema.additionalProperties, false);
    assert.deepEqual(
      Object.keys(schema.properties),
      outline(configSchema).map(({ path }) => path[0]),
    );
    assert.deepEqual(schema.properties['log']?.type, ['object', 'null']);
    const text = JSON.stringify(schema);
    assert.match(text, /"default":"10m"/);
    assert.doesNotMatch(text, /_prefault|"not":\{\}/);
  });

  test('is what the repository has', async () => {
    const file = await readFile(new URL('../../../schema/entrepot.schema.json', import.meta.url), 'utf8');
    assert.deepEqual(JSON.parse(file), JSON.parse(JSON.stringify(jsonSchema())));
  });
});

describe('referenceTable()', () => {
  test('has a row for each option, each of four cells', () => {
    const rows = referenceTable().split('\n');
    for (const row of rows) assert.equal(row.split(/(?<!\\)\|/).length, 6, row);
    for (const name of [
      'listen[].tls.cert_file',
      'registries.<name>.upstreams[].url',
      'cache.tags.rules[].match',
      'log.level',
    ]) {
      assert.ok(
        rows.some((row) => row.startsWith(`| \`${name}\` |`)),
        name,
      );
    }
  });
});

describe('examples/', async () => {
  const names = (await readdir(EXAMPLES)).filter((name) => name.endsWith('.yaml'));
  test('are there', () => assert.ok(names.length >= 6));
  for (const name of names) {
    test(`${name} is valid`, async () => {
      const text = await readFile(new URL(name, EXAMPLES), 'utf8');
      const { config } = await load(text);
      assert.ok(config.listen.length > 0);
    });
  }
});
