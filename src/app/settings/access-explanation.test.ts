import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../../config/index.ts';
import { explainAccess } from './access-explanation.ts';
import { composeRegistries } from './registries.ts';

async function configOf(text: string) {
  const { config } = await loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text } });
  return config;
}

describe('explain without rules', () => {
  const rows: readonly (readonly [listen: string, message: RegExp])[] = [
    ['127.0.0.1:5000', /no access:, so no rule decides: clients may pull everything\./],
    ['0.0.0.0:5000', /no rule decides: clients may pull what is public, and nothing private\./],
  ];
  for (const [listen, message] of rows) {
    test(listen, async () => {
      const config = await configOf(`listen: ${listen}`);
      const question = { who: 'anonymous', action: 'pull', image: 'nginx' } as const;
      await assert.rejects(explainAccess(config, composeRegistries(config), question), message);
    });
  }
});

describe('explain a push', () => {
  const text = `
registries: {apps: {hosted: true}, ghcr.io: {push: [ours/**]}}
access:
  rules:
    - {who: anonymous, may: [pull], on: ["**"]}
    - {who: alice, may: [pull, push], on: ["**"]}
cache: {dir: /nowhere}`;
  const rows: readonly (readonly [
    who: string,
    action: 'push' | 'pull',
    image: string,
    verdict: string,
    refusal?: RegExp,
  ])[] = [
    ['alice', 'push', 'apps/web', 'allowed'],
    ['alice', 'push', 'ghcr.io/ours/app', 'allowed'],
    [
      'alice',
      'push',
      'ghcr.io/theirs/app',
      'refused',
      /^ghcr\.io\/theirs\/app is mirrored, .*set hosted or push under registries\.ghcr\.io$/,
    ],
    ['anonymous', 'push', 'apps/web', 'refused', /^only a user or token may push; log in$/],
    ['bob', 'push', 'apps/web', 'refused'],
    ['alice', 'pull', 'apps/web', 'allowed'],
    ['anonymous', 'pull', 'apps/web', 'refused'],
    ['anonymous', 'pull', 'ghcr.io/ours/app', 'allowed'],
  ];
  for (const [who, action, image, verdict, refusal] of rows) {
    test(`${who} ${action} ${image}: ${verdict}`, async () => {
      const config = await configOf(text);
      const answer = await explainAccess(config, composeRegistries(config), { who, action, image });
      assert.equal(answer.verdict, verdict);
      if (refusal === undefined) assert.equal(answer.refusal, undefined);
      else assert.match(answer.refusal ?? '', refusal);
    });
  }

  test('without rules is refused', async () => {
    const config = await configOf('registries: {apps: {hosted: true}}');
    const question = { who: 'alice', action: 'push', image: 'apps/web' } as const;
    const says = /clients may pull everything, and push and delete nothing\. To have rules/;
    await assert.rejects(explainAccess(config, composeRegistries(config), question), says);
  });
});
