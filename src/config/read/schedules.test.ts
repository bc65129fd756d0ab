import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError } from '../problems.ts';
import { loadConfig } from './load.ts';
import { findNotes } from './notes.ts';

const load = (text: string) =>
  loadConfig({ cwd: '/srv', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text }, checkReferences: false });

async function problemsOf(text: string): Promise<readonly string[]> {
  try {
    await load(text);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(({ key, message }) => `${key}: ${message}`);
  }
}

async function notesIn(text: string): Promise<readonly string[]> {
  const { config, settings } = await load(text);
  return findNotes(config, settings)
    .filter(({ key }) => /^(?:warm|copy)\b/.test(key))
    .map(({ key, message }) => `${key}: ${message}`);
}

describe('schedules', () => {
  test('need images and when; the rest has its defaults', async () => {
    const { config } = await load('warm: [{images: [nginx], schedule: " @daily "}]');
    assert.deepEqual(config.warm, [{ images: ['nginx'], schedule: '@daily', platforms: [] }]);
    assert.deepEqual((await load('{}')).config.warm, []);
  });

  test('copy images from a name to another', async () => {
    const { config } = await load(
      'copy: [{name: hot, images: [{from: cold/a, to: hot/a, all_tags: true}, {from: "cold/b:1", to: hot/b}], schedule: every 6h, platforms: [linux/amd64]}]',
    );
    assert.deepEqual(config.copy, [
      {
        name: 'hot',
        images: [
          { from: 'cold/a', to: 'hot/a', allTags: true },
          { from: 'cold/b:1', to: 'hot/b', allTags: false },
        ],
        schedule: 'every 6h',
        platforms: ['linux/amd64'],
      },
    ]);
    assert.deepEqual((await load('{}')).config.copy, []);
  });

  test('have all of their problems reported at once, each with its place', async () => {
    const problems = await problemsOf(
      'warm: [{name: a, images: [x], schedule: never}]\ncopy: [{name: a, images: [{from: x, too: y}], schedule: "@daily"}, {from: x, to: y, schedule: "@daily"}]',
    );
    const keys = problems.map((each) => each.slice(0, each.indexOf(':')));
    for (const key of [
      'warm[0].schedule',
      'copy[0].images[0].to',
      'copy[0].images[0].too',
      'copy[1].images',
      'copy[1].from',
    ]) {
      assert.ok(keys.includes(key), `${key} of\n${problems.join('\n')}`);
    }
  });

  const refused: readonly (readonly [text: string, RegExp])[] = [
    ['warm: [{images: [nginx]}]', /^warm\[0\]\.schedule: /],
    ['warm: [{images: [], schedule: "@daily"}]', /^warm\[0\]\.images: /],
    [
      'warm: [{images: [nginx latest], schedule: "@daily"}]',
      /^warm\[0\]\.images\[0\]: .*expected the name of an image/,
    ],
    [
      'warm: [{images: [nginx], schedule: "0 3 * *"}]',
      /^warm\[0\]\.schedule: found "0 3 \* \* ?\*?", expected five fields/,
    ],
    ['warm: [{images: [nginx], schedule: "0 0 31 2 *"}]', /on a date that comes/],
    ['warm: [{images: [nginx], schedule: every 10s}]', /an interval of a minute at least/],
    ['warm: [{images: [nginx], schedule: "@daily", time_zone: Mars/Base}]', /^warm\[0\]\.time_zone: .*Europe\/Berlin/],
    ['warm: [{images: [nginx], schedule: "@daily", time_zone: "+02:00"}]', /^warm\[0\]\.time_zone: /],
    ['warm: [{images: [nginx], schedule: "@daily", platforms: [linux/x86_64]}]', /^warm\[0\]\.platforms\[0\]: /],
    [
      'warm: [{name: a, images: [x], schedule: "@daily"}, {name: a, images: [y], schedule: "@daily"}]',
      /^warm\[1\]\.name: found "a" a second time/,
    ],
    [
      'warm: [{name: a, images: [x], schedule: "@daily"}]\ncopy: [{name: a, images: [{from: x, to: y}], schedule: "@daily"}]',
      /^copy\[0\]\.name: found "a" a second time, expected each name once in warm and copy/,
    ],
    ['copy: [{images: [{from: a, to: b}]}]', /^copy\[0\]\.schedule: /],
    [
      'copy: [{images: [], schedule: "@daily"}]',
      /^copy\[0\]\.images: .*\{from: cold\.example\/team\/app:1, to: hot\/team\/app\}/,
    ],
    ['copy: [{images: [cold/a], schedule: "@daily"}]', /^copy\[0\]\.images\[0\]: /],
    ['copy: [{images: [{from: a}], schedule: "@daily"}]', /^copy\[0\]\.images\[0\]\.to: .*the name of an image/],
    [
      'copy: [{images: [{from: a b, to: c}], schedule: "@daily"}]',
      /^copy\[0\]\.images\[0\]\.from: .*the name of an image/,
    ],
    [
      'copy: [{images: [{from: a, to: b, all_tags: 1}], schedule: "@daily"}]',
      /^copy\[0\]\.images\[0\]\.all_tags: .*true or false/,
    ],
    [
      'copy: [{images: [{from: a, to: b}], schedule: "@daily", platforms: [linux/x86_64]}]',
      /^copy\[0\]\.platforms\[0\]: /,
    ],
    [
      'cache: {platforms: [linux/amd64, linux/arm]}\nwarm: [{images: [x], schedule: "@daily", platforms: [linux/arm/v7, linux/arm64]}]',
      /^warm\[0\]\.platforms\[1\]: found linux\/arm64, expected one of cache\.platforms/,
    ],
  ];
  for (const [text, expected] of refused) {
    test(`are refused: ${text}`, async () => {
      const problems = await problemsOf(text);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', expected);
    });
  }

  const noted: readonly (readonly [text: string, ...RegExp[]])[] = [
    ['warm: [{images: [nginx], schedule: "*/5 * * * *"}, {images: [nginx], schedule: every 5m}]'],
    ['warm: [{images: [nginx], schedule: "* * * * *"}]', /^warm\[0\]\.schedule: it asks upstreams every minute/],
    ['warm: [{images: [nginx], schedule: every 2m}]', /every 2 minutes/],
    ['warm: [{images: [x, y, x], schedule: "@daily"}]', /^warm\[0\]\.images\[2\]: /],
    ['warm: [{images: [x], schedule: every 6h, time_zone: UTC}]', /^warm\[0\]\.time_zone: it has no effect/],
    ['cache: off\nwarm: [{images: [x], schedule: "@daily"}]', /^warm\[0\]: it has no effect: the cache is off/],
    [
      'cache: {platforms: [linux/amd64]}\ncopy: [{images: [{from: a, to: b}], schedule: "@daily", platforms: [linux/arm64]}]',
    ],
    [
      'copy: [{images: [{from: a, to: b}], schedule: "* * * * *"}]',
      /^copy\[0\]\.schedule: it asks upstreams every minute/,
    ],
    [
      'copy: [{images: [{from: a, to: b}], schedule: every 6h, time_zone: UTC}]',
      /^copy\[0\]\.time_zone: it has no effect/,
    ],
    [
      'cache: off\ncopy: [{images: [{from: a, to: b}], schedule: "@daily"}]',
      /^copy\[0\]: it has no effect: the cache is off/,
    ],
    [
      'offline: true\ncopy: [{images: [{from: a, to: b}], schedule: "@daily"}]',
      /^copy\[0\]: it does not run while offline/,
    ],
    ['offline: true\nwarm: [{images: [x], schedule: "@daily"}]', /^warm\[0\]: it does not run while offline/],
  ];
  for (const [text, ...expected] of noted) {
    test(`are noted: ${text}`, async () => {
      const notes = await notesIn(text);
      assert.equal(notes.length, expected.length, notes.join('\n'));
      for (const [at, each] of expected.entries()) assert.match(notes[at] ?? '', each);
    });
  }
});
