import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { explain, type RuleAction } from './access.ts';

interface Asked {
  readonly audit: boolean;
  readonly action?: RuleAction;
}

async function said(t: TestContext, { audit, action = 'pull' }: Asked): Promise<{ code: number; out: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-explain-'));
  t.after(() => rm(dir, { recursive: true }));
  const config = join(dir, 'entrepot.yaml');
  await writeFile(config, `access: {audit: ${audit}}\n`);
  let out = '';
  const image = action === 'pull' ? 'nginx' : undefined;
  const output = { out: (text: string) => (out += text), err: assert.fail };
  return { code: await explain({ flags: { config }, who: 'anonymous', action, image }, output), out };
}

describe('entrepot access explain, of what no rule allows', () => {
  const refused = (what: string) => `refused: ${what} by anonymous\n  no rule allows it; add one under access.rules\n`;

  test('says that audit mode lets a pull through', async (t) => {
    assert.deepEqual(await said(t, { audit: true }), {
      code: 1,
      out: `${refused('pull on docker.io/library/nginx')}  access.audit lets it through if its repository is public\n`,
    });
  });

  test('says nothing of audit mode where that is off, or where the action is another', async (t) => {
    const pull = refused('pull on docker.io/library/nginx');
    assert.deepEqual(await said(t, { audit: false }), { code: 1, out: pull });
    assert.deepEqual(await said(t, { audit: true, action: 'status' }), { code: 1, out: refused('status') });
  });
});
