import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type AccessStore, loadAccessStore } from '../store/index.ts';
import { type AccountChange, Accounts, type NewToken } from './accounts.ts';
import { isPasswordOf } from './argon2.ts';
import { AccountError } from './refusal.ts';

const { AccessStoreError, MemoryAccessStore } = await loadAccessStore();
const PASSWORD = 'correct horse';
const DAY = 86_400_000;

interface Stage {
  readonly accounts: Accounts;
  readonly store: AccessStore;
  readonly changes: readonly AccountChange[];
  readonly warnings: readonly string[];
  readonly opened: readonly boolean[];
  readonly advance: (by: number) => void;
  /** The same store, as the next process opens it. */
  readonly reopen: () => Promise<Accounts>;
}

async function stage(t: TestContext, { isServing = false } = {}): Promise<Stage> {
  const store: AccessStore = new MemoryAccessStore();
  let now = 1_000_000;
  let isThere = false;
  const changes: AccountChange[] = [];
  const warnings: string[] = [];
  const opened: boolean[] = [];
  const open = () =>
    Accounts.open({
      open({ create }) {
        opened.push(create);
        isThere ||= create;
        return Promise.resolve(isThere ? store : undefined);
      },
      onChange: (change) => void changes.push(change),
      onWarning: (message) => void warnings.push(message),
      isServing,
      now: () => now,
    });
  const accounts = await open();
  t.after(() => accounts.close());
  return { accounts, store, changes, warnings, opened, advance: (by) => void (now += by), reopen: open };
}

const robot = (change: Partial<NewToken> = {}): NewToken => ({
  name: 'ci',
  owner: undefined,
  may: ['pull'],
  on: [],
  expiresAt: undefined,
  ...change,
});

describe('users', () => {
  test('are there at once, and for the next process', async (t) => {
    const { accounts, reopen } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    for (const each of [accounts, await reopen()]) {
      assert.equal(each.user('alice')?.disabled, false);
      assert.equal(await isPasswordOf(each.user('alice')?.password ?? '', PASSWORD), true);
    }
  });

  test('need no store until there is one', async (t) => {
    const { accounts, opened } = await stage(t);
    assert.deepEqual([accounts.users, accounts.tokens, accounts.hasUsers], [[], [], false]);
    await assert.rejects(accounts.removeUser('alice'), AccountError);
    assert.deepEqual(opened, [false]);
    await accounts.addUser('alice', PASSWORD);
    await accounts.addUser('bob', PASSWORD);
    assert.deepEqual(opened, [false, true]);
  });

  for (const [what, name, password, expected] of [
    ['an empty name', '', PASSWORD, /1 to 128 characters/],
    ['a name with a colon', 'token:ci', PASSWORD, /no blanks or colons/],
    ['the name of a group', '@payments', PASSWORD, /no @ in front/],
    ['a name with a line break', 'a\nb', PASSWORD, /no blanks/],
    ['a long name', 'a'.repeat(129), PASSWORD, /1 to 128 characters/],
    ['the name of every client', 'anonymous', PASSWORD, /stands for every client/],
    ['the same in another case', 'Anonymous', PASSWORD, /stands for every client/],
    ['an invisible character', 'al\u200bice', PASSWORD, /an invisible character \(U\+200B\); leave it out/],
    ['a letter in two characters', 'zoe\u0308', PASSWORD, /not in the form NFC .*; write zo\u00eb, which is/],
    ['a short password', 'alice', 'secret7', /8 to 256 characters, and this one has 7/],
    ['a long password', 'alice', 'x'.repeat(257), /8 to 256 characters/],
    ['a password of two lines', 'alice', 'secret\nsecret', /no control characters/],
    ['a password in the form of a token', 'alice', `ent_${'0'.repeat(49)}`, /form of a token/],
  ] as const) {
    test(`are refused with ${what}, without the password in the message`, async (t) => {
      const { accounts, changes } = await stage(t);
      await assert.rejects(accounts.addUser(name, password), (error: Error) => {
        assert.ok(error instanceof AccountError);
        assert.match(error.message, expected);
        assert.ok(!error.message.includes(password));
        return true;
      });
      assert.deepEqual([accounts.users, changes], [[], []]);
    });
  }

  test('have one name each, also where two are added at once', async (t) => {
    const { accounts } = await stage(t);
    const added = await Promise.allSettled(
      ['one two three', 'four five six'].map((each) => accounts.addUser('alice', each)),
    );
    assert.deepEqual(added.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    await assert.rejects(accounts.addUser('alice', PASSWORD), /entrepot users passwd alice/);
  });

  test('change one after the other: what was answered last is stored last', async (t) => {
    const { accounts, reopen } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    await Promise.all(Array.from({ length: 9 }, (_, at) => accounts.setDisabled('alice', at % 2 === 0)));
    assert.equal((await reopen()).user('alice')?.disabled, accounts.user('alice')?.disabled);
  });

  test('are disabled by the command that came last, although they were so before the one that is under way', async (t) => {
    const { accounts } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    await accounts.setDisabled('alice', true);
    const changed = await Promise.all([false, true].map((disabled) => accounts.setDisabled('alice', disabled)));
    assert.deepEqual([changed, accounts.user('alice')?.disabled], [[true, true], true]);
  });

  test('are reported as they change, without what is secret', async (t) => {
    const { accounts, changes } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    await accounts.setPassword('alice', `${PASSWORD} 2`);
    assert.equal(await accounts.setDisabled('alice', true), true);
    assert.equal(await accounts.setDisabled('alice', true), false);
    await accounts.setDisabled('alice', false);
    await accounts.createToken(robot({ owner: 'alice' }));
    await accounts.removeUser('alice');
    assert.deepEqual(changes, [
      { change: 'user added', name: 'alice' },
      { change: 'password changed', name: 'alice' },
      { change: 'user disabled', name: 'alice' },
      { change: 'user enabled', name: 'alice' },
      { change: 'token created', name: 'ci', owner: 'alice' },
      { change: 'user removed', name: 'alice' },
    ]);
  });

  test('stay as they were where the store fails, and no client is served', async (t) => {
    const { accounts, store, changes } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    store.setDisabled = () => Promise.reject(new Error('EIO'));
    store.removeUser = () => Promise.reject(new Error('EIO'));
    await assert.rejects(accounts.setDisabled('alice', true), /EIO/);
    await assert.rejects(accounts.removeUser('alice'), /EIO/);
    assert.equal(accounts.user('alice')?.disabled, false);
    assert.equal(changes.length, 1);
    // The next change is not held up by the failed ones.
    await accounts.setPassword('alice', `${PASSWORD} 2`);
  });
});

describe('a lock-out that the disk of a server refuses', () => {
  /** As the store rejects on a full disk. @returns what makes room */
  function fill(store: AccessStore): () => void {
    const methods = ['setDisabled', 'removeUser', 'removeToken', 'setPassword', 'addUser', 'addToken'] as const;
    for (const method of methods) {
      store[method] = (): Promise<never> => Promise.reject(new AccessStoreError('/c/access.db', FULL));
    }
    return () => {
      for (const method of methods) Reflect.deleteProperty(store, method);
    };
  }
  const FULL = { found: 'its disk is full', remedy: 'Make room on it.' };
  const message = (who: string): string =>
    `${who} is refused from now on by this server; that could not be stored (its disk is full), so it ends at the next restart: ` +
    'make room on it, and run the command again';

  for (const [title, who, lockOut] of [
    ['to disable a user', 'alice', (accounts: Accounts) => accounts.setDisabled('alice', true)],
    ['to remove a user', 'alice', (accounts: Accounts) => accounts.removeUser('alice')],
    ['to revoke a token', 'token:ci', (accounts: Accounts) => accounts.revokeToken('ci')],
  ] as const) {
    test(`${title}: it holds at once, and is stored when the command is repeated`, async (t) => {
      const { accounts, store, changes, warnings, reopen } = await stage(t, { isServing: true });
      await accounts.addUser('alice', PASSWORD);
      const text = await accounts.createToken(robot({ owner: 'alice' }));
      const before = changes.length;
      const makeRoom = fill(store);
      for (let time = 1; time <= 2; time += 1) {
        await assert.rejects(lockOut(accounts), { name: 'AccountError', message: message(who) });
        assert.equal(accounts.tokenOf(text), undefined);
        assert.equal(accounts.user('alice')?.disabled !== false, who === 'alice');
      }
      assert.deepEqual([changes.length - before, warnings.length], [2, 2]);
      assert.ok((await reopen()).tokenOf(text));
      makeRoom();
      assert.notEqual(await lockOut(accounts), false);
      assert.equal((await reopen()).tokenOf(text), undefined);
      if (who === 'alice') assert.notEqual((await reopen()).user('alice')?.disabled, false);
    });
  }

  test('is stored before another change, and at the stop', async (t) => {
    const { accounts, store, reopen } = await stage(t, { isServing: true });
    await accounts.addUser('alice', PASSWORD);
    await accounts.addUser('bob', PASSWORD);
    const makeRoom = fill(store);
    await assert.rejects(accounts.removeUser('alice'), /refused from now on/);
    await assert.rejects(accounts.addUser('alice', PASSWORD), /its disk is full/);
    makeRoom();
    await accounts.addUser('alice', `${PASSWORD} 2`);
    assert.equal(await isPasswordOf((await reopen()).user('alice')?.password ?? '', `${PASSWORD} 2`), true);
    const makeRoomAgain = fill(store);
    await assert.rejects(accounts.setDisabled('bob', true), /refused from now on/);
    await assert.rejects(accounts.setDisabled('bob', false), /its disk is full/);
    assert.equal(accounts.user('bob')?.disabled, true);
    makeRoomAgain();
    await accounts.close();
    assert.equal((await reopen()).user('bob')?.disabled, true);
  });

  test('has ended with a warning where the stop cannot store it either', async (t) => {
    const { accounts, store, warnings } = await stage(t, { isServing: true });
    await accounts.addUser('alice', PASSWORD);
    fill(store);
    await assert.rejects(accounts.setDisabled('alice', true), /refused from now on/);
    await accounts.close();
    assert.match(warnings.at(-1) ?? '', /the next start lets them in: alice/);
  });

  test('is no change of a password: the old one stays, and the message says so', async (t) => {
    const { accounts, store, changes } = await stage(t, { isServing: true });
    await accounts.addUser('alice', PASSWORD);
    fill(store);
    await assert.rejects(accounts.setPassword('alice', `${PASSWORD} 2`), {
      message:
        'the password of alice is as it was, because the new one could not be stored (its disk is full): ' +
        'make room on it, and run the command again; until then, `entrepot users disable alice` refuses them',
    });
    assert.equal(await isPasswordOf(accounts.user('alice')?.password ?? '', PASSWORD), true);
    assert.equal(changes.length, 1);
  });
});

describe('tokens', () => {
  test('are found by their text, and stored as a hash', async (t) => {
    const { accounts, store, reopen } = await stage(t);
    const text = await accounts.createToken(robot());
    for (const each of [accounts, await reopen()]) {
      assert.equal(each.tokenOf(text)?.name, 'ci');
      assert.equal(each.token('ci')?.hash, each.tokenOf(text)?.hash);
    }
    assert.ok(!JSON.stringify(await store.listTokens()).includes(text));
  });

  test('are refused when they are revoked, at once and for good', async (t) => {
    const { accounts, reopen } = await stage(t);
    const text = await accounts.createToken(robot());
    await accounts.revokeToken('ci');
    assert.deepEqual([accounts.tokenOf(text), accounts.token('ci')], [undefined, undefined]);
    const again = await accounts.createToken(robot());
    for (const each of [accounts, await reopen()]) {
      assert.equal(each.tokenOf(text), undefined);
      assert.equal(each.tokenOf(again)?.name, 'ci');
    }
    await assert.rejects(accounts.revokeToken('gone'), /no token called gone/);
  });

  test('are refused from the moment at which they expire', async (t) => {
    const { accounts, advance } = await stage(t);
    const text = await accounts.createToken(robot({ expiresAt: 1_000_000 + DAY }));
    advance(DAY - 1);
    assert.ok(accounts.tokenOf(text));
    advance(1);
    assert.deepEqual([accounts.tokenOf(text), accounts.token('ci')], [undefined, undefined]);
    assert.equal(accounts.tokens.length, 1);
  });

  test('that act for a user are refused with them, and gone with them', async (t) => {
    const { accounts, reopen } = await stage(t);
    await assert.rejects(accounts.createToken(robot({ owner: 'alice' })), /no stored user called alice/);
    await accounts.addUser('alice', PASSWORD);
    const text = await accounts.createToken(robot({ owner: 'alice' }));
    assert.equal(accounts.tokenOf(text)?.owner, 'alice');
    await accounts.setDisabled('alice', true);
    assert.equal(accounts.tokenOf(text), undefined);
    await accounts.setDisabled('alice', false);
    assert.ok(accounts.tokenOf(text));
    assert.deepEqual(await accounts.removeUser('alice'), ['ci']);
    await accounts.addUser('alice', PASSWORD);
    for (const each of [accounts, await reopen()]) assert.equal(each.tokenOf(text), undefined);
  });

  test('have their last use noted once a minute, and at the end', async (t) => {
    const { accounts, store, advance } = await stage(t);
    await accounts.createToken(robot());
    const notes: unknown[] = [];
    const noteUses = store.noteUses.bind(store);
    store.noteUses = (uses) => {
      notes.push(uses);
      return noteUses(uses);
    };
    accounts.noteUse('ci');
    advance(59_999);
    accounts.noteUse('ci');
    accounts.noteUse('gone');
    assert.equal(accounts.tokens[0]?.usedAt, 1_000_000);
    advance(1);
    accounts.noteUse('ci');
    assert.equal(accounts.tokens[0]?.usedAt, 1_060_000);
    assert.deepEqual(notes, []);
    await accounts.close();
    assert.deepEqual(notes, [[{ name: 'ci', at: 1_060_000 }]]);
    accounts.noteUse('ci');
  });

  test('go on where their last use cannot be noted', async (t) => {
    const { accounts, store, warnings } = await stage(t);
    const text = await accounts.createToken(robot());
    store.noteUses = () => Promise.reject(new Error('EIO'));
    accounts.noteUse('ci');
    await accounts.close();
    assert.ok(accounts.tokenOf(text));
    assert.deepEqual(warnings, ['Cannot note the last use of tokens']);
  });
});

test('nothing is changed once it is closed', async (t) => {
  const { accounts, store } = await stage(t);
  await accounts.close();
  await assert.rejects(accounts.addUser('alice', PASSWORD), /is stopping/);
  assert.deepEqual(await store.listUsers(), []);
});
