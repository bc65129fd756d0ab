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
