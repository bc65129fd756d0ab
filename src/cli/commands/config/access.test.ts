import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, type TestContext, test } from 'node:test';
import { loadAccessStore } from '../../../store/index.ts';
import { explain, type RuleAction } from './access.ts';
import { validateConfig } from './config.ts';

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

test('entrepot access explain calls a configuration without rules no problem', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-explain-'));
  t.after(() => rm(dir, { recursive: true }));
  const config = join(dir, 'entrepot.yaml');
  await writeFile(config, 'listen: 127.0.0.1:5000\n');
  let err = '';
  const output = { out: assert.fail, err: (text: string) => (err += text) };
  const asked = { flags: { config }, who: 'alice', action: 'pull', image: 'nginx' } as const;
  assert.equal(await explain(asked, output), 78);
  const says = 'no rule decides: clients may pull everything. To have rules, set access.rules: docs/access.md';
  assert.equal(err, `The configuration has no access:, so ${says}\n`);
});

test('entrepot access explain notes that a token is not stored', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'entrepot-explain-'));
  t.after(() => rm(dir, { recursive: true }));
  const config = join(dir, 'entrepot.yaml');
  const rule = '{who: [anonymous, "token:ci"], may: [status]}';
  await writeFile(config, `cache: {dir: ${dir}}\naccess: {rules: [${rule}]}\n`);
  const notes: string[] = [];
  const output = { out: () => {}, err: (text: string) => notes.push(text) };
  for (const who of ['anonymous', 'token:ci']) {
    assert.equal(await explain({ flags: { config }, who, action: 'status', image: undefined }, output), 0);
  }
  assert.deepEqual(notes, ['note: there is no token called ci; `entrepot tokens list` shows them\n']);
});

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

describe('a file of stored users that cannot be read', () => {
  async function stage(t: TestContext) {
    const cache = await mkdtemp(join(tmpdir(), 'entrepot-explain-'));
    t.after(() => rm(cache, { recursive: true }));
    const file = join(cache, 'access.db');
    await writeFile(file, 'a'.repeat(9000));
    const config = join(cache, 'entrepot.yaml');
    const rules = '[{who: [anonymous, alice], may: [status]}]';
    await writeFile(config, `cache: {dir: ${cache}}\naccess: {rules: ${rules}}\n`);
    let said = '';
    const output = { out: (text: string) => (said += text), err: (text: string) => (said += text) };
    return { flags: { config }, output, file, said: () => said };
  }

  test('is a problem to config validate, as it is to a start', async (t) => {
    const { flags, output, said } = await stage(t);
    assert.equal(await validateConfig({ flags }, output), 78);
    assert.match(
      said(),
      /entrepot\.yaml:2:.* access: Cannot use the file .*access\.db: it is not a database\. Put a copy/,
    );
  });

  for (const who of ['alice', 'token:ci']) {
    test(`is a problem to access explain, for ${who}`, async (t) => {
      const { flags, output, said } = await stage(t);
      assert.equal(await explain({ flags, who, action: 'status', image: undefined }, output), 78);
      assert.match(said(), /access: Cannot use the file .*access\.db: it is not a database/);
    });
  }

  test('is none for anonymous, whom no file concerns', async (t) => {
    const { flags, output } = await stage(t);
    assert.equal(await explain({ flags, who: 'anonymous', action: 'status', image: undefined }, output), 0);
  });

  test('is noted where another process hinders this command alone', async (t) => {
    const { flags, output, said, file } = await stage(t);
    await rm(file);
    const { openAccessStore } = await loadAccessStore();
    await (await openAccessStore(file, { create: true }))?.close();
    const other = new DatabaseSync(file);
    t.after(() => other.close());
    other.exec('BEGIN EXCLUSIVE');
    assert.equal(await validateConfig({ flags }, output), 0);
    assert.match(
      said(),
      /note: .*not compared with stored users\. .*another process holds its lock\. End that process/,
    );
    assert.equal(await explain({ flags, who: 'alice', action: 'status', image: undefined }, output), 0);
    assert.match(said(), /note: stored users and tokens are left out of this answer\. .*holds its lock/);
  });
});

describe('entrepot access explain, of what is no question', () => {
  const wrong: readonly (readonly [who: string, action: RuleAction, image: string | undefined, says: RegExp])[] = [
    ['@team', 'pull', 'nginx', /@team is a group, and no client; ask for one of its members/],
    ['', 'pull', 'nginx', /found "", expected the name of a user/],
    ['a b', 'pull', 'nginx', /found "a b", expected the name of a user/],
    ['al\u200bice', 'pull', 'nginx', /invisible character \(U\+200B\)/],
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
