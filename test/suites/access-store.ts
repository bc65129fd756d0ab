import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import type { AccessStore, TokenRecord, UserRecord } from '../../src/store/index.ts';

/** Makes an empty store, and cleans up after the test. */
export type MakeAccessStore = (context: TestContext) => Promise<AccessStore>;

/** What every {@link AccessStore} must do. */
export function accessStoreSuite(name: string, make: MakeAccessStore): void {
  describe(`${name} as a store of users and tokens`, () => {
    test('knows nothing when it is new', async (t) => {
      const store = await make(t);
      assert.deepEqual([await store.listUsers(), await store.listTokens()], [[], []]);
      assert.equal(await store.setPassword('alice', { password: 'x', at: 1 }), false);
      assert.equal(await store.setDisabled('alice', true), false);
      assert.equal(await store.removeUser('alice'), false);
      assert.equal(await store.removeToken('ci'), false);
      await store.noteUses([]);
      await store.noteUses([{ name: 'ci', at: 5 }]);
      assert.deepEqual(await store.listTokens(), []);
    });

    test('gives users back as they were put, in the order of the bytes of their names', async (t) => {
      const store = await make(t);
      const names = ['zoë', 'alice', 'Alice', '\u{ff5e}', '\u{1f600}', "o'hara;--", 'a%_'];
      for (const each of names) assert.equal(await store.addUser(userRecord(each)), true, each);
      const expected = ['Alice', 'a%_', 'alice', "o'hara;--", 'zoë', '\u{ff5e}', '\u{1f600}'].map((each) =>
        userRecord(each),
      );
      assert.deepEqual(await store.listUsers(), expected);
    });

    test('keeps the user that has the name', async (t) => {
      const store = await make(t);
      await store.addUser(userRecord('alice'));
      assert.equal(await store.addUser({ ...userRecord('alice'), password: 'other' }), false);
      assert.deepEqual(await store.listUsers(), [userRecord('alice')]);
    });

    test('changes one user alone', async (t) => {
      const store = await make(t);
      for (const each of ['alice', 'bob']) await store.addUser(userRecord(each));
      assert.equal(await store.setPassword('alice', { password: 'new', at: 77 }), true);
      assert.equal(await store.setDisabled('bob', true), true);
      assert.equal(await store.setDisabled('bob', true), true);
      assert.deepEqual(await store.listUsers(), [
        { ...userRecord('alice'), password: 'new', passwordAt: 77 },
        { ...userRecord('bob'), disabled: true },
      ]);
      assert.equal(await store.setDisabled('bob', false), true);
      assert.deepEqual((await store.listUsers())[1], userRecord('bob'));
    });

    test('gives tokens back as they were put', async (t) => {
      const store = await make(t);
      await store.addUser(userRecord('alice'));
      const tokens: readonly TokenRecord[] = [
        tokenRecord('ci', { may: ['pull', 'catalog'], on: ['docker.io/**', 'mirror:a/b"\\'] }),
        tokenRecord('never', { expiresAt: undefined, usedAt: 9 }),
        tokenRecord('of-alice', { owner: 'alice' }),
      ];
      for (const token of tokens.toReversed()) assert.equal(await store.addToken(token), 'added');
      assert.deepEqual(await store.listTokens(), tokens);
    });

    test('refuses a token whose name or hash is taken, or whose user is not there', async (t) => {
      const store = await make(t);
      await store.addToken(tokenRecord('ci'));
      assert.equal(await store.addToken({ ...tokenRecord('other'), name: 'ci' }), 'taken');
      assert.equal(await store.addToken({ ...tokenRecord('ci'), name: 'other' }), 'taken');
      assert.equal(await store.addToken(tokenRecord('lost', { owner: 'alice' })), 'no owner');
      assert.deepEqual(await store.listTokens(), [tokenRecord('ci')]);
    });

    test('removes with a user the tokens that act for them, and no others', async (t) => {
      const store = await make(t);
      for (const each of ['alice', 'bob']) await store.addUser(userRecord(each));
      for (const [each, owner] of [
        ['a', 'alice'],
        ['b', 'bob'],
        ['c', 'alice'],
        ['robot', undefined],
      ] as const) {
        await store.addToken(tokenRecord(each, { owner }));
      }
      assert.equal(await store.removeUser('alice'), true);
      assert.deepEqual(await store.listUsers(), [userRecord('bob')]);
      assert.deepEqual(await store.listTokens(), [tokenRecord('b', { owner: 'bob' }), tokenRecord('robot')]);
      // A user of the name who comes later has none of them.
      await store.addUser(userRecord('alice'));
      assert.equal((await store.listTokens()).length, 2);
    });

    test('removes a token once', async (t) => {
      const store = await make(t);
      for (const each of ['a', 'b']) await store.addToken(tokenRecord(each));
      assert.equal(await store.removeToken('a'), true);
      assert.equal(await store.removeToken('a'), false);
      assert.deepEqual(await store.listTokens(), [tokenRecord('b')]);
      assert.equal(await store.addToken(tokenRecord('a')), 'added');
    });

    test('notes uses, and never an earlier one', async (t) => {
      const store = await make(t);
      for (const each of ['a', 'b', 'c']) await store.addToken(tokenRecord(each));
      await store.noteUses([
        { name: 'a', at: 10 },
        { name: 'gone', at: 10 },
        { name: 'b', at: 0 },
      ]);
      await store.noteUses([{ name: 'a', at: 9 }]);
      const used = async () => (await store.listTokens()).map(({ usedAt }) => usedAt);
      assert.deepEqual(await used(), [10, 0, undefined]);
      await store.noteUses([{ name: 'a', at: 11 }]);
      assert.deepEqual(await used(), [11, 0, undefined]);
    });
  });
}

export function userRecord(name: string): UserRecord {
  return { name, password: `hash of ${name}`, disabled: false, createdAt: 1_000, passwordAt: 2_000 };
}

export function tokenRecord(name: string, change: Partial<TokenRecord> = {}): TokenRecord {
  const hash = createHash('sha256').update(name).digest('hex');
  const scope = { may: ['pull'], on: [] };
  return { name, hash, owner: undefined, ...scope, createdAt: 3, expiresAt: 4, usedAt: undefined, ...change };
}
