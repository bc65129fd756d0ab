import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError, formatProblem } from '../../problems.ts';
import { printConfig } from '../../show/index.ts';
import { loadConfig } from '../load.ts';
import { findNotes } from '../notes.ts';

const load = (text: string) =>
  loadConfig({ cwd: '/srv', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text }, checkReferences: false });

async function problemsOf(text: string): Promise<readonly string[]> {
  try {
    await load(text);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map((each) => formatProblem(each).replace('ENTREPOT_CONFIG:', ''));
  }
}

async function notesOn(webhooks: string): Promise<readonly string[]> {
  const { config, settings } = await load(`webhooks: [${webhooks}]`);
  return findNotes(config, settings).map((each) => formatProblem(each).replace('ENTREPOT_CONFIG:', ''));
}

const SECRET = 'secret: {file: /run/secrets/ci}';

describe('webhooks of a configuration', () => {
  test('have every default', async () => {
    const { config } = await load('webhooks: [{url: "https://CI.example.com/hooks?token=a"}]');
    assert.deepEqual(config.webhooks, [
      {
        url: 'https://ci.example.com/hooks?token=a',
        events: ['push', 'delete', 'tag'],
        on: [],
        headers: {},
        timeout: 10_000,
      },
    ]);
    assert.deepEqual((await load('')).config.webhooks, []);
  });

  test('take one secret or several, and headers from where they are kept', async () => {
    const { config } = await load(
      'webhooks: [{url: "https://a.example", secret: one}, {url: "https://b.example", secret: [{env: NEW}, two], headers: {Authorization: {file: token}, X-A: "1"}}]',
    );
    assert.deepEqual(
      config.webhooks.map(({ secret }) => secret),
      [['one'], [{ env: 'NEW' }, 'two']],
    );
    assert.deepEqual(config.webhooks[1]?.headers, { Authorization: { file: '/srv/token' }, 'X-A': '1' });
  });

  test('are shown without what is secret', async () => {
    const loaded = await load(
      'webhooks: [{url: "https://a.example/x?token=hush", secret: hush, headers: {Authorization: hush, X-Key: {file: /run/key}}}, {url: "https://b.example", secret: [hush, {env: NEW}]}]',
    );
    const shown = await printConfig(loaded);
    assert.doesNotMatch(shown, /hush/);
    for (const part of ['https://a.example/x?***', '/run/key', 'NEW'])
      assert.ok(shown.includes(part), `${part}\n${shown}`);
  });
});

describe('a mistake in a webhook is reported with its place and remedy', () => {
  const rows: readonly (readonly [webhook: string, problem: string])[] = [
    [
      '{url: "https://u:hush@a.example/x"}',
      '1:13  webhooks[0].url: found "https://***@a.example/x", expected an http:// or https:// address without a user or password in it, e.g. https://ci.example.com/hooks; a credential goes under headers, as in {Authorization: {file: PATH}}, and what signs under secret',
    ],
    [
      '{url: a.example}',
      '1:13  webhooks[0].url: found "a.example", expected an http:// or https:// address without a user or password in it, e.g. https://ci.example.com/hooks; did you mean https://a.example?',
    ],
    [
      '{url: "https://a.example", events: [pushed]}',
      '1:48  webhooks[0].events[0]: found "pushed", expected push or delete or tag or schedule or disk; did you mean push?',
    ],
    [
      '{url: "https://a.example", secret: ""}',
      '1:39  webhooks[0].secret: the secret is empty, expected a text (in quotes where it looks like a number), {env: NAME} or {file: PATH}',
    ],
    [
      '{url: "https://a.example", secret: whsec_hush!}',
      '1:39  webhooks[0].secret: found whsec_ with something after it that is no base64, expected the secret as the receiver shows it, or a text of your own without whsec_',
    ],
    [
      '{url: "https://a.example", headers: {Webhook-Id: hush}}',
      '1:49  webhooks[0].headers.Webhook-Id: found a header that this server sets for each event; remove it',
    ],
    [
      '{url: "https://a.example", headers: {Content-Length: "1"}}',
      '1:49  webhooks[0].headers.Content-Length: found a header that this server sets for each event; remove it',
    ],
    [
      '{name: a, url: "https://a.example"}, {name: a, url: "https://b.example"}',
      '1:50  webhooks[1].name: found "a" a second time, expected each name once',
    ],
    ['{url: "https://a.example", event: push}', '1:39  webhooks[0].event: unknown option; did you mean "events"?'],
  ];
  for (const [webhook, problem] of rows) {
    test(webhook, async () => {
      const found = await problemsOf(`webhooks: [${webhook}]`);
      assert.deepEqual(
        found.map((each) => each.replace(/^\d+:\d+ {2}/, '')),
        [problem.replace(/^\d+:\d+ {2}/, '')],
      );
      assert.match(found[0] ?? '', /^1:\d+ {2}/);
      assert.doesNotMatch(found.join(), /hush/);
    });
  }

  test('a whsec_ secret and a Content-Type are none', async () => {
    const text =
      '{url: "https://a.example", secret: whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX, headers: {Content-Type: application/json}}';
    assert.deepEqual(await problemsOf(`webhooks: [${text}]`), []);
    assert.deepEqual(await notesOn(text), []);
  });
});

describe('what is doubtful in a webhook is noted', () => {
  const rows: readonly (readonly [webhook: string, ...notes: RegExp[]])[] = [
    [`{url: "https://a.example", ${SECRET}}`],
    [
      `{url: "http://a.example", ${SECRET}}`,
      /webhooks\[0\]\.url: the names of repositories.*a\.example unencrypted.*https/,
    ],
    [`{url: "http://127.0.0.1:8080", ${SECRET}}`],
    [`{url: "http://[::1]:8080", ${SECRET}}`],
    [
      '{url: "http://a.example", headers: {Authorization: a-hush}}',
      /webhooks\[0\]\.url: the header Authorization and the events go/,
    ],
    ['{url: "https://a.example"}', /webhooks\[0\]: nothing proves to the receiver.*Set secret/],
    ['{url: "http://localhost:1"}'],
    ['{url: "https://a.example", secret: hush}', /webhooks\[0\]\.secret: it is shorter than 16 bytes/],
    ['{url: "https://a.example", secret: whsec_aHVzaA==}', /webhooks\[0\]\.secret: it is shorter than 16 bytes/],
    [
      `{url: "https://a.example", ${SECRET}}, {url: "https://a.example", ${SECRET}}`,
      /webhooks\[1\]\.url: webhooks\[0\] sends to it already/,
    ],
    [`{url: "https://a.example", ${SECRET}, events: [push]}, {url: "https://a.example", ${SECRET}, events: [tag]}`],
    [`{url: "https://a.example", ${SECRET}, on: ["a/*"]}, {url: "https://a.example", ${SECRET}, on: ["b/*"]}`],
    [`{url: "https://a.example", ${SECRET}, events: [push, push]}`, /"push" stands in this list already/],
  ];
  for (const [webhook, ...notes] of rows) {
    test(webhook, async () => {
      const found = await notesOn(webhook);
      assert.equal(found.length, notes.length, found.join('\n'));
      for (const [at, note] of notes.entries()) assert.match(found[at] ?? '', note);
      assert.doesNotMatch(found.join(), /hush|aHVz/);
    });
  }
});
