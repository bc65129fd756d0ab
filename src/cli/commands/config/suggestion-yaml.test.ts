import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { composeRegistries, suggestAccess } from '../../../app/index.ts';
import { loadConfig } from '../../../config/index.ts';
import { MemoryMetadataStore, MemoryObservationStore, type Observation } from '../../../store/index.ts';
import { formatSuggestion } from './suggestion-yaml.ts';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 29, 12);

function observation(over: Partial<Observation> = {}): Observation {
  const base = {
    period: NOW - DAY,
    principal: 'alice',
    action: 'pull',
    target: 'ghcr.io/ours/app',
    verdict: 'allowed',
  };
  return { ...base, count: 3, lastAt: NOW - DAY, ...over } as Observation;
}

const configOf = (access: string) =>
  loadConfig({
    env: { ENTREPOT_CONFIG: `mirrors: [{name: site, prefix: /site, upstream: "http://127.0.0.1:1"}]\n${access}` },
  });

async function suggestionOf(observations: readonly Observation[], { generalize = false, since = 0 } = {}) {
  const store = new MemoryObservationStore({ since });
  await store.add(observations);
  const { config } = await configOf('access: {}');
  const catalogue = composeRegistries(config);
  const answer = await suggestAccess(
    { within: 30 * DAY, generalize },
    { config, catalogue, metadata: new MemoryMetadataStore(), observations: { store, unwritten: [] }, now: NOW },
  );
  return { answer, text: formatSuggestion(answer, '30d') };
}

describe('formatSuggestion()', () => {
  test('reads as a configuration does', async () => {
    const { text } = await suggestionOf([
      observation({ principal: 'anonymous', target: 'docker.io/library/nginx', verdict: 'would-deny', count: 7 }),
      observation({ principal: 'anonymous', target: 'docker.io/library/redis', lastAt: NOW }),
      observation({ principal: 'bob' }),
      observation({ principal: 'my user' }),
      observation(),
      observation({ action: 'status', target: '', count: 1 }),
      observation({ principal: 'bob', target: 'ghcr.io/ours/secret', verdict: 'denied', count: 2 }),
      observation({ target: 'mirror:site/a/b/**' }),
      observation({ target: 'mirror:gone/a' }),
      observation({ principal: '', action: '', target: '', count: 12 }),
    ]);
    assert.equal(
      text,
      `# The rules that the requests of 30d needed, from 2026-10-30 to 2026-11-29.
# Read them, put them under access:, and run \`entrepot config validate\`.
  rules:
    # 10 requests of 2 repositories, the last on 2026-11-29; 7 would have been refused without audit mode
    - who: anonymous
      may: [pull]
      on:
        - docker.io/library/nginx
        - docker.io/library/redis
    # 6 requests of 2 repositories, the last on 2026-11-28
    - who: alice
      may: [pull]
      on:
        - ghcr.io/ours/app
        - mirror:site/a/b/**
    # 1 request, the last on 2026-11-28
    - who: alice
      may: [status]
    # 3 requests of 1 repository, the last on 2026-11-28
    - who: bob
      may: [pull]
      on:
        - ghcr.io/ours/app
    # Refused, and allowed by no rule above. Add what is meant:
    #   bob pull ghcr.io/ours/secret: 2 requests, the last on 2026-11-28
    # Answered, but no rule can be made for it:
    #   alice pull mirror:gone/a: 3 requests, the last on 2026-11-28: there is no mirror route called gone
    #   "my user" pull ghcr.io/ours/app: 3 requests, the last on 2026-11-28: no rule can have this name under who; rename the user
    # Counted without their names, because there were too many or no pattern can name them: 12 answered, 0 refused.
`,
    );
  });

  test('says since when it observes, where that is not as long as asked', async () => {
    const { text } = await suggestionOf([observation()], { since: NOW - DAY });
    assert.match(text, /^# Observing began at 2026-11-28 12:00 UTC\.$/m);
  });

  test('generalizes, and says what for', async () => {
    const targets = ['a', 'b', 'c'].map((name) => observation({ target: `docker.io/library/${name}` }));
    const { text } = await suggestionOf(targets, { generalize: true });
    assert.match(text, /# 9 requests of 3 repositories/);
    assert.match(text, /^ {8}- docker\.io\/library\/\*\* # stands for 3 repositories$/m);
  });

  test('is taken by `config validate` as it stands, and means what was observed, whatever the names', async () => {
    const names = [
      'alice',
      'true',
      'null',
      '#x',
      '-',
      "it's",
      'a"b',
      'José',
      '\u{1f600}',
      '123',
      '&a',
      '*a',
      '!t',
      'a,b',
      '[c]',
      '{d}',
      '%e',
      '`f',
      'a\\nb',
    ];
    const { answer, text } = await suggestionOf([
      ...names.map((principal, at) => observation({ principal, target: `docker.io/library/x${at}` })),
      ...names.map((principal) => observation({ principal, target: `mirror:site/${principal}`, verdict: 'denied' })),
      observation({ principal: 'a\nrules: []', verdict: 'denied' }),
      // No rule can name it.
      observation({ principal: 'x\u202ey' }),
      observation({ target: "mirror:site/it's #1" }),
      observation({ target: 'ghcr.io/Bad Name' }),
    ]);
    const { config } = await configOf(`access:\n${text}`);
    assert.deepEqual(
      config.access?.rules,
      answer.observed?.rules.map(({ who, may, on }) => {
        return { who, may, on: on.map(({ pattern }) => pattern), private: false };
      }),
    );
    assert.equal(config.access?.rules.length, names.length);
    // No name can end its line.
    assert.ok(
      text.split('\n').every((line) => /^(?:#| {2}rules:| {4}#| {4}- who: | {6}\w| {8}- |$)/.test(line)),
      text,
    );
    assert.doesNotMatch(text, /\u202e/);
  });

  test('has rules that are taken where there are none, and where nothing remains', async () => {
    const { text } = await suggestionOf([observation({ verdict: 'denied' })]);
    const { config } = await configOf(`access:\n${text}`);
    assert.deepEqual(config.access?.rules, []);
    assert.match(text, /#   alice pull ghcr\.io\/ours\/app: 3 requests/);
  });
});
