import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatProblem, loadConfig, locateProblems } from '../../config/index.ts';
import { SettingsError } from './error.ts';
import { notesOf } from './notes.ts';
import { composeRegistries } from './registries.ts';
import { checkSchedules, scheduleSpecsOf } from './schedules.ts';

const load = (text: string) => loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text } });

describe('scheduleSpecsOf()', () => {
  test('gives each schedule a name: its own, else that of its first image, with a number where it is taken', async () => {
    const { config } = await load(
      'warm: [{images: [a, b], schedule: "@daily"}, {images: [a], schedule: every 6h}, {name: b, images: [x], schedule: "@hourly"}, {images: [b], schedule: "@daily"}]',
    );
    assert.deepEqual(
      scheduleSpecsOf(config).map(({ name }) => name),
      ['a', 'a (2)', 'b', 'b (2)'],
    );
  });

  test('hands the rest on', async () => {
    const { config } = await load(
      'warm: [{images: [a], schedule: "@daily", time_zone: Europe/Berlin, platforms: [linux/amd64]}, {images: [b], schedule: every 90m}]',
    );
    assert.deepEqual(scheduleSpecsOf(config), [
      {
        name: 'a',
        schedule: '@daily',
        recurrence: { kind: 'cron', expression: '0 0 * * *', timeZone: 'Europe/Berlin' },
        images: ['a'],
        platforms: ['linux/amd64'],
      },
      { name: 'b', schedule: 'every 90m', recurrence: { kind: 'every', ms: 5_400_000 }, images: ['b'], platforms: [] },
    ]);
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
