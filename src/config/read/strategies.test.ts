import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError, formatProblem } from '../problems.ts';
import { loadConfig } from './load.ts';
import { findNotes } from './notes.ts';

const load = (registry: string) =>
  loadConfig({
    cwd: '/',
    env: { HOME: '/nowhere', ENTREPOT_CONFIG: `registries:\n  apps: {${registry}}` },
    checkReferences: false,
  });

async function problemsOf(registry: string): Promise<readonly string[]> {
  try {
    await load(registry);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.map(formatProblem).map((text) => text.replace(/^.*?registries/, 'registries'));
  }
}

async function notesOn(registry: string): Promise<readonly string[]> {
  const { config, settings } = await load(registry);
  return findNotes(config, settings)
    .map(formatProblem)
    .map((text) => text.replace(/^.*?registries/, 'registries'));
}

const TWO = 'upstreams: [https://a.example, https://b.example]';

describe('a strategy is read', () => {
  test('as a word, or as a map with one of by and plugin', async () => {
    for (const [text, strategy] of [
      ['fastest', 'fastest'],
      ['{by: weighted}', { by: 'weighted', tags: false }],
      ['{by: fastest, tags: true}', { by: 'fastest', tags: true }],
      ['{plugin: ./routing.mjs}', { plugin: '/routing.mjs', tags: false }],
    ] as const) {
      const { config } = await load(`strategy: ${text}, ${TWO}`);
      assert.deepEqual(config.registries['apps']?.strategy, strategy);
      assert.deepEqual(await notesOn(`strategy: ${text}, ${TWO}`), []);
    }
  });

  const problems: readonly (readonly [registry: string, problem: string])[] = [
    [
      `strategy: "fastest ", ${TWO}`,
      'registries.apps.strategy: found "fastest ", expected ordered, fastest or weighted, or a map such as {by: fastest, tags: true} or {plugin: ./routing.mjs}; did you mean fastest?',
    ],
    [
      `strategy: {by: quickest}, ${TWO}`,
      'registries.apps.strategy.by: found "quickest", expected ordered or fastest or weighted',
    ],
    [
      `strategy: {tags: true}, ${TWO}`,
      'registries.apps.strategy: found neither by nor plugin, expected one of the two, such as {by: fastest} or {plugin: ./routing.mjs}',
    ],
    [
      `strategy: {by: fastest, plugin: ./routing.mjs}, ${TWO}`,
      'registries.apps.strategy: found by and plugin, expected one of the two, such as {by: fastest} or {plugin: ./routing.mjs}',
    ],
    [
      'strategy: fastest, hosted: true',
      'registries.apps.strategy: found it beside hosted: true, expected one of the two: what is hosted is asked of no upstream',
    ],
    [
      'strategy: weighted, upstreams: [{url: "https://a.example", weight: 0}, {url: "https://b.example", weight: 0}]',
      'registries.apps.strategy: found weighted with a weight of 0 at every upstream, expected one above 0: none would be asked first',
    ],
    [
      'strategy: weighted, upstreams: [{url: "https://a.example", weight: 1.5}, https://b.example]',
      'registries.apps.upstreams[0].weight: found 1.5, expected a whole number from 0 to 1000',
    ],
    [
      'strategy: weighted, upstreams: [{url: "https://a.example", weight: -1}, https://b.example]',
      'registries.apps.upstreams[0].weight: found -1, expected a whole number from 0 to 1000',
    ],
  ];
  for (const [registry, problem] of problems) {
    test(`with the problem: ${problem.slice('registries.apps.'.length, 80)}`, async () => {
      assert.deepEqual(await problemsOf(registry), [problem]);
    });
  }

  test('weights of 0 are no problem beside another, nor for another strategy', async () => {
    const upstreams = 'upstreams: [{url: "https://a.example", weight: 0}, https://b.example]';
    assert.deepEqual(await problemsOf(`strategy: weighted, ${upstreams}`), []);
    const zeros = 'upstreams: [{url: "https://a.example", weight: 0}, {url: "https://b.example", weight: 0}]';
    assert.deepEqual(await problemsOf(`strategy: {plugin: ./routing.mjs}, ${zeros}`), []);
  });
});

describe('a strategy without effect is noted', () => {
  test('with one upstream, written or implied', async () => {
    const note =
      'registries.apps.strategy: without effect: apps has one upstream. List more under upstreams, or remove it';
    assert.deepEqual(await notesOn('strategy: fastest, upstreams: [https://a.example]'), [note]);
    const { config, settings } = await loadConfig({
      cwd: '/',
      env: { HOME: '/nowhere', ENTREPOT_CONFIG: 'registries: {ghcr.io: {strategy: weighted}}' },
    });
    assert.match(findNotes(config, settings).map(formatProblem).join(), /without effect: ghcr\.io has one upstream/);
  });

  test('ordered for tags', async () => {
    assert.deepEqual(await notesOn(`strategy: {by: ordered, tags: true}, ${TWO}`), [
      'registries.apps.strategy.tags: without effect: with ordered, tags are asked in that order anyway. Remove it',
    ]);
  });

  test('a weight without weighted, at each upstream that has one', async () => {
    const upstreams = 'upstreams: [{url: "https://a.example", weight: 3}, https://b.example]';
    const note =
      'registries.apps.upstreams[0].weight: without effect: the strategy of the registry is not weighted. Set strategy: weighted beside upstreams, or remove it';
    assert.deepEqual(await notesOn(upstreams), [note]);
    assert.deepEqual(await notesOn(`strategy: fastest, ${upstreams}`), [note]);
    assert.deepEqual(await notesOn(`strategy: weighted, ${upstreams}`), []);
    assert.deepEqual(await notesOn(`strategy: {by: weighted}, ${upstreams}`), []);
    assert.deepEqual(await notesOn(`strategy: {plugin: ./routing.mjs}, ${upstreams}`), []);
  });
});
