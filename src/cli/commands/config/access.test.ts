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

describe('entrepot access explain, of what is no question', () => {
  const wrong: readonly (readonly [who: string, action: RuleAction, image: string | undefined, says: RegExp])[] = [
    ['@team', 'pull', 'nginx', /@team is a group, and no client; ask for one of its members/],
    ['', 'pull', 'nginx', /found "", expected the name of a user/],
    ['a b', 'pull', 'nginx', /found "a b", expected the name of a user/],
    ['oidc:x', 'pull', 'nginx', /found "oidc:x", expected the name of a user/],
    ['alice', 'status', 'nginx', /status concerns no image; leave "nginx" out/],
    ['alice', 'catalog', undefined, /catalog concerns an image/],
    ['alice', 'pull', 'UPPER/Case', /names of repositories are in lower case/],
    ['alice', 'pull', '', /names no image/],
  ];
  for (const [who, action, image, says] of wrong) {
    test(`refuses ${JSON.stringify([who, action, image])} as a wrong command line`, async (t) => {
      const dir = await mkdtemp(join(tmpdir(), 'entrepot-explain-'));
      t.after(() => rm(dir, { recursive: true }));
      const config = join(dir, 'entrepot.yaml');
      await writeFile(config, 'access: {}\n');
      let err = '';
      const output = { out: assert.fail, err: (text: string) => (err += text) };
      assert.equal(await explain({ flags: { config }, who, action, image }, output), 2);
      assert.match(err, says);
    });
  }
});
