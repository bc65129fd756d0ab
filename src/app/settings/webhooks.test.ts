import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { describe, test } from 'node:test';
import { formatProblem, loadConfig } from '../../config/index.ts';
import { notesOf } from './notes.ts';
import { composeRegistries } from './registries.ts';
import { webhookSourceOf, webhookSpecsOf } from './webhooks.ts';

const load = (text: string) => loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text } });

async function specsOf(webhooks: string) {
  return webhookSpecsOf((await load(`webhooks: [${webhooks}]`)).config);
}

describe('webhookSpecsOf()', () => {
  test('gives each webhook a name: its own, else that of its host, with a number where it is taken', async () => {
    const specs = await specsOf(
      '{url: "https://a.example/1"}, {url: "https://a.example:8443/x"}, {url: "https://a.example/2"}, {name: b.example, url: "https://c.example"}, {url: "https://b.example"}',
    );
    assert.deepEqual(
      specs.map(({ name }) => name),
      ['a.example', 'a.example:8443', 'a.example-2', 'b.example', 'b.example-2'],
    );
  });

  test('keeps a queue under the name, or else the URL, whatever the order is, and without the URL itself', async () => {
    const [one, two, named] = await specsOf(
      '{url: "https://a.example/1?token=hush"}, {url: "https://a.example/2"}, {name: ci, url: "https://c.example"}',
    );
    const [second, first, moved] = await specsOf(
      '{url: "https://a.example/2"}, {url: "https://a.example/1?token=hush"}, {name: ci, url: "https://d.example"}',
    );
    assert.deepEqual([first?.key, second?.key, moved?.key], [one?.key, two?.key, named?.key]);
    assert.doesNotMatch(JSON.stringify([one?.key, two?.key]), /hush|example/);
    const twins = await specsOf('{url: "https://a.example"}, {url: "https://a.example"}');
    assert.equal(new Set(twins.map(({ key }) => key)).size, 2);
  });

  test('hands the rest on', async () => {
    const [spec] = await specsOf(
      '{url: "https://a.example", events: [tag], on: ["apps/**"], secret: {env: HOME}, headers: {X-A: b}, timeout: 3s}',
    );
    assert.deepEqual(
      { ...spec, key: '' },
      {
        name: 'a.example',
        key: '',
        url: 'https://a.example/',
        events: ['tag'],
        on: ['apps/**'],
        secrets: [{ env: 'HOME' }],
        headers: { 'X-A': 'b' },
        timeout: 3000,
      },
    );
  });
});

test('webhookSourceOf() is the first public_url, else the machine', async () => {
  const withUrl = (await load('public_url: ["https://m.example.com:8443", "http://m"]')).config;
  assert.deepEqual(webhookSourceOf(withUrl), { addr: 'm.example.com:8443', url: 'https://m.example.com:8443' });
  assert.deepEqual(webhookSourceOf((await load('')).config), { addr: hostname(), url: undefined });
});

test('webhooks are noted where nothing can be pushed', async () => {
  const loaded = await load('webhooks: [{url: "https://a.example", secret: {env: HOME}}]');
  const notes = notesOf(loaded, composeRegistries(loaded.config)).map(formatProblem);
  assert.equal(notes.length, 1, notes.join('\n'));
  assert.match(
    notes[0] ?? '',
    /^ENTREPOT_CONFIG:1:1 {2}webhooks: they have no effect: nothing can be pushed.*Set hosted/,
  );
  const hosting = { hosted: ['**'], push: [], immutableTags: [], sparse: false };
  const catalogue = composeRegistries(loaded.config);
  const [registry] = catalogue.list();
  assert.ok(registry);
  const hosted = { ...catalogue, list: () => [{ ...registry, hosting }] };
  assert.deepEqual(notesOf(loaded, hosted as typeof catalogue).length, 0);
});

test('patterns of webhooks are noted where nothing under them is hosted', async () => {
  const notesOn = async (on: string) => {
    const loaded = await load(
      `registries: {apps: {hosted: true}, docker.io: {hosted: [acme/**]}, ghcr.io: {push: [ours/**]}}
access: {rules: [{who: alice, may: [pull, push], on: ["**"]}]}
webhooks: [{url: "https://a.example", secret: {env: HOME}, on: [${on}]}]`,
    );
    return notesOf(loaded, composeRegistries(loaded.config)).map(formatProblem);
  };
  assert.deepEqual(
    await notesOn('"apps/**", apps/team/web, "**/web", docker.io/acme/app, "*/acme/*", ghcr.io/ours/app'),
    [],
  );
  for (const lost of ['app/**', 'web', 'docker.io/library/**', 'ghcr.io/theirs/**', 'apps/web:v1', 'apps']) {
    const [note = '', ...more] = await notesOn(`"apps/**", "${lost}"`);
    assert.deepEqual(more, []);
    assert.ok(note.includes(` webhooks[0].on[1]: no repository of "${lost}" is hosted here or pushed through`), note);
    assert.match(note, /^ENTREPOT_CONFIG:3:\d+ .*such as docker\.io\/acme\/\*\*$/);
  }
});
