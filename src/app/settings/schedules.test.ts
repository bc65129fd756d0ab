import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatProblem, loadConfig, locateProblems } from '../../config/index.ts';
import { SettingsError } from './error.ts';
import { notesOf } from './notes.ts';
import { composeRegistries } from './registries.ts';
import { checkSchedules, scheduledWorkOf } from './schedules.ts';

const load = (text: string) => loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text } });

describe('scheduledWorkOf()', () => {
  test('gives each schedule a name: its own, else that of its first image, with a number where it is taken', async () => {
    const { config } = await load(
      'warm: [{images: [a, b], schedule: "@daily"}, {images: [a], schedule: every 6h}, {name: b, images: [x], schedule: "@hourly"}, {images: [b], schedule: "@daily"}]',
    );
    assert.deepEqual(
      scheduledWorkOf(config).map(({ name }) => name),
      ['a', 'a (2)', 'b', 'b (2)'],
    );
  });

  test('hands the rest on', async () => {
    const { config } = await load(
      'warm: [{images: [a], schedule: "@daily", time_zone: Europe/Berlin, platforms: [linux/amd64]}, {images: [b], schedule: every 90m}]',
    );
    assert.deepEqual(scheduledWorkOf(config), [
      {
        kind: 'warm',
        name: 'a',
        label: 'warm[0]',
        schedule: '@daily',
        recurrence: { kind: 'cron', expression: '0 0 * * *', timeZone: 'Europe/Berlin' },
        images: ['a'],
        platforms: ['linux/amd64'],
      },
      {
        kind: 'warm',
        name: 'b',
        label: 'warm[1]',
        schedule: 'every 90m',
        recurrence: { kind: 'every', ms: 5_400_000 },
        images: ['b'],
        platforms: [],
      },
    ]);
  });

  test('names a copy by where its first image goes, and tells it from what is fetched', async () => {
    const { config } = await load(
      'warm: [{images: [hot/a], schedule: "@daily"}]\ncopy: [{images: [{from: cold/a, to: hot/a}, {from: cold/b, to: hot/b}], schedule: "@daily"}]',
    );
    assert.deepEqual(
      scheduledWorkOf(config).map(({ kind, name, label, images }) => [kind, name, label, images.length]),
      [
        ['warm', 'hot/a', 'warm[0]', 1],
        ['copy', 'hot/a (2)', 'copy[0]', 2],
      ],
    );
  });
});

test('an image that no registry has is a problem with its place and a remedy', async () => {
  const loaded = await load(`
warm:
  - images: [nginx, nowhere.example/x:1, "nginx:*"]
    schedule: "@daily"`);
  const catalogue = composeRegistries(loaded.config);
  assert.throws(
    () => checkSchedules(loaded.config, catalogue),
    (error) => {
      assert.ok(error instanceof SettingsError);
      const problems = locateProblems(loaded, error.problems).problems.map(formatProblem);
      assert.equal(problems.length, 2);
      assert.match(
        problems[0] ?? '',
        /^ENTREPOT_CONFIG:3:\d+ {2}warm\[0\]\.images\[1\]: .*nowhere\.example.*under registries/,
      );
      assert.match(problems[1] ?? '', /^ENTREPOT_CONFIG:3:\d+ {2}warm\[0\]\.images\[2\]: .*name a tag or a digest/);
      return true;
    },
  );
});

test('a copy whose ends are none, or do not fit, is a problem with its place and a remedy', async () => {
  const loaded = await load(`
registries: {hot: {upstreams: ["http://hot.example"], push: ["**"]}}
copy:
  - images:
      - {from: nowhere.example/x:1, to: "hot/*"}
      - {from: "ghcr.io/a/b:1", to: hot/b, all_tags: true}
      - {from: "ghcr.io/a/b:1", to: "hot/b@sha256:${'0'.repeat(64)}"}
      - {from: "ghcr.io/a/b:1", to: hot/b}
    schedule: "@daily"`);
  assert.throws(
    () => checkSchedules(loaded.config, composeRegistries(loaded.config)),
    (error) => {
      assert.ok(error instanceof SettingsError);
      const problems = locateProblems(loaded, error.problems).problems.map(formatProblem);
      const expected = [
        /^ENTREPOT_CONFIG:5:\d+ {2}copy\[0\]\.images\[0\]\.from: .*nowhere\.example.*under registries/,
        /^ENTREPOT_CONFIG:5:\d+ {2}copy\[0\]\.images\[0\]\.to: .*is not one image; name a tag or a digest/,
        /^ENTREPOT_CONFIG:6:\d+ {2}copy\[0\]\.images\[1\]: .*leave out tag and digest/,
        /^ENTREPOT_CONFIG:7:\d+ {2}copy\[0\]\.images\[2\]: .*name a tag, or the same digest on both sides/,
      ];
      assert.equal(problems.length, expected.length, problems.join('\n'));
      for (const [at, each] of expected.entries()) assert.match(problems[at] ?? '', each);
      return true;
    },
  );
});

test('a copy that goes nowhere, or where another one goes, is noted', async () => {
  const loaded = await load(`
registries:
  cold: {upstreams: ["http://cold.example"]}
  hot: {upstreams: ["http://hot.example"], push: ["**"]}
  tiered: {upstreams: ["http://hot.example", "http://cold.example"], push: ["**"]}
  apps: {hosted: true}
copy:
  - images:
      - {from: "cold/a:1", to: cold/b}
      - {from: "hot/a:1", to: hot/a}
      - {from: apps/a, to: apps/a, all_tags: true}
      - {from: "cold/a:2", to: hot/c}
      - {from: "hot/a:1", to: "hot/a:2"}
      - {from: "tiered/a:1", to: tiered/a}
      - {from: cold/a, to: apps/b, all_tags: true}
    schedule: "@daily"
  - images: [{from: "apps/x:2", to: hot/c}, {from: apps/x, to: apps/b, all_tags: true}]
    schedule: every 6h`);
  const notes = notesOf(loaded, composeRegistries(loaded.config))
    .map(formatProblem)
    .filter((note) => note.includes('copy['));
  const expected = [
    /copy\[0\]\.images\[0\]\.to: the schedule fails each time: cold\/b takes no copy: it is mirrored\. .*push: \["b"\].*hosted: \["b"\]/,
    /copy\[0\]\.images\[1\]\.to: the schedule fails each time: hot\/a is both the source and the destination; name two/,
    /copy\[0\]\.images\[2\]\.to: the schedule fails each time: apps\/a is both/,
    /copy\[1\]\.images\[0\]\.to: copy\[0\]\.images\[3\]\.to leads to hot\/c:2 already\. Name another tag, or remove one/,
  ];
  assert.equal(notes.length, expected.length, notes.join('\n'));
  for (const [at, each] of expected.entries()) assert.match(notes[at] ?? '', each);
});

test('an image that is hosted here is noted', async () => {
  const loaded = await load(
    'registries: {apps: {hosted: true}}\nwarm: [{images: [nginx, apps/web:1], schedule: "@daily"}]',
  );
  const notes = notesOf(loaded, composeRegistries(loaded.config))
    .map(formatProblem)
    .filter((note) => note.includes('warm'));
  assert.equal(notes.length, 1);
  assert.match(notes[0] ?? '', /warm\[0\]\.images\[1\]: it has no effect: apps\/web:1 is hosted here.*Remove it/);
});

test('webhooks of schedules and of the disk are not idle where nothing can be pushed', async () => {
  const idle = async (text: string) => {
    const loaded = await load(`webhooks: [${text}]`);
    return notesOf(loaded, composeRegistries(loaded.config)).filter(({ message }) =>
      /nothing can be pushed/.test(message),
    );
  };
  const url = 'url: "https://a.example", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  assert.equal((await idle(`{${url}}`)).length, 1);
  assert.equal((await idle(`{${url}, events: [schedule, push]}`)).length, 0);
  assert.equal((await idle(`{${url}, events: [disk]}`)).length, 0);
});
