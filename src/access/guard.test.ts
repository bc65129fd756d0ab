import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { loadAccessStore } from '../store/index.ts';
import { Accounts } from './accounts.ts';
import type { AccessRequest, Action } from './gate.ts';
import { Guard } from './guard.ts';
import type { PolicySpec } from './policy.ts';
import type { Principal } from './principal.ts';
import { CredentialError } from './refusal.ts';
import { TOKEN_LIFETIME, Tokens } from './tokens.ts';

const { MemoryAccessStore } = await loadAccessStore();
const HOST = 'mirror.example.com';
const PASSWORD = 'correct horse';
const NGINX = { registry: 'docker.io', repository: 'library/nginx' };

const RULES: PolicySpec = {
  groups: { robots: ['token:ci'] },
  rules: [
    { who: ['anonymous'], may: ['pull'], on: ['docker.io/**'] },
    { who: ['alice'], may: ['pull', 'catalog'], on: ['ghcr.io/**'] },
    { who: ['@robots'], may: ['pull', 'status'], on: ['quay.io/**'] },
    // A rule for a token that acts for a user is never asked.
    { who: ['token:laptop'], may: ['status'], on: [] },
  ],
};

async function stage(t: TestContext, spec: PolicySpec = RULES, tokens = new Tokens()) {
  const store = new MemoryAccessStore();
  const accounts = await Accounts.open({
    open: () => Promise.resolve(store),
    onChange: () => {},
    onWarning: () => {},
  });
  t.after(() => accounts.close());
  const plainUser = { name: 'proxy', password: () => Promise.resolve('proxy-password') };
  const guard = await Guard.open({ ...spec, accounts, plainUser, tokens, onWarning: () => {} });
  const basic = (name: string, password: string) =>
    guard.identify({
      authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
      address: '',
      audience: HOST,
    });
  const known = (token: string) => guard.identifyKnown({ authorization: `Bearer ${token}`, audience: HOST });
  /** As the dispatcher asks. */
  const bearer = async (token: string) =>
    known(token) ?? (await guard.identify({ authorization: `Bearer ${token}`, address: '', audience: HOST }));
  const may = (principal: Principal, action: Action, repository: AccessRequest['repository']): boolean =>
    guard.authorize({ principal, action, repository }).allowed;
  const create = (name: string, change: object = {}) =>
    accounts.createToken({ name, owner: undefined, may: ['pull'], on: [], expiresAt: undefined, ...change });
  return { accounts, guard, basic, bearer, known, may, create };
}

describe('a stored user', () => {
  test('logs in, and is refused when disabled, with the password and the session', async (t) => {
    const { accounts, guard, basic, bearer, known, may } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    const { principal } = await basic('alice', PASSWORD);
    const { token } = await guard.issue(principal, HOST);
    assert.equal(known(token), undefined);
    assert.deepEqual(await bearer(token), { principal: { kind: 'user', name: 'alice' }, shown: true });
    assert.deepEqual(known(token), { principal: { kind: 'user', name: 'alice' }, shown: true });
    await accounts.setDisabled('alice', true);
    assert.equal(known(token), undefined);
    await assert.rejects(basic('alice', PASSWORD), CredentialError);
    await assert.rejects(bearer(token), CredentialError);
    await assert.rejects(guard.issue(principal, HOST), CredentialError);
    assert.equal(may(principal, 'pull', NGINX), false);
    assert.equal(may(principal, 'connect', undefined), false);
    await accounts.setDisabled('alice', false);
    assert.deepEqual((await basic('alice', PASSWORD)).principal, principal);
  });

  test('has a session for one host, until it ends, although its token was verified before', async (t) => {
    let now = Date.now();
    const { accounts, guard, basic, bearer, known } = await stage(t, RULES, new Tokens({ now: () => now }));
    await accounts.addUser('alice', PASSWORD);
    const { token } = await guard.issue((await basic('alice', PASSWORD)).principal, HOST);
    await bearer(token);
    assert.ok(known(token));
    for (const audience of ['other.example.com', undefined]) {
      assert.equal(guard.identifyKnown({ authorization: `Bearer ${token}`, audience }), undefined);
    }
    now += TOKEN_LIFETIME * 1000;
    assert.equal(known(token), undefined);
    await assert.rejects(bearer(token), CredentialError);
  });

  test('has no session from an old password', async (t) => {
    const { accounts, guard, basic, bearer } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    const { token } = await guard.issue((await basic('alice', PASSWORD)).principal, HOST);
    await accounts.setPassword('alice', `${PASSWORD} 2`);
    await assert.rejects(bearer(token), CredentialError);
    await assert.rejects(basic('alice', PASSWORD), CredentialError);
    await basic('alice', `${PASSWORD} 2`);
  });

  test('has precedence over the configuration: disabled is disabled', async (t) => {
    const { accounts, basic, guard } = await stage(t);
    await basic('proxy', 'proxy-password');
    await accounts.addUser('proxy', PASSWORD);
    await assert.rejects(basic('proxy', 'proxy-password'), CredentialError);
    await basic('proxy', PASSWORD);
    await accounts.setDisabled('proxy', true);
    for (const password of ['proxy-password', PASSWORD])
      await assert.rejects(basic('proxy', password), CredentialError);
    assert.deepEqual(guard.known.users, ['proxy', 'proxy']);
  });

  test('who is removed is unknown', async (t) => {
    const { accounts, basic, may } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    const { principal } = await basic('alice', PASSWORD);
    await accounts.removeUser('alice');
    await assert.rejects(basic('alice', PASSWORD), CredentialError);
    assert.equal(may(principal, 'pull', NGINX), false);
  });
});

describe('a token', () => {
  test('is a password with any name, a bearer, and what a client refreshes with', async (t) => {
    const { accounts, guard, basic, bearer, create } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    const text = await create('ci');
    const principal = { kind: 'token', name: 'ci' };
    for (const name of ['ci', 'alice', 'x', '']) assert.deepEqual((await basic(name, text)).principal, principal, name);
    assert.deepEqual(await bearer(text), { principal, shown: true });
    assert.deepEqual(guard.redeem(text), principal);
    const { token } = await guard.issue({ kind: 'token', name: 'ci' }, HOST);
    assert.deepEqual(await bearer(token), { principal, shown: true });
  });

  test('is for no host in particular, and its session is', async (t) => {
    const { guard, create } = await stage(t);
    const text = await create('ci');
    const shown = (authorization: string) =>
      guard.identify({ authorization, address: '', audience: 'other.example.com' });
    assert.equal((await shown(`Bearer ${text}`)).shown, true);
    const { token } = await guard.issue({ kind: 'token', name: 'ci' }, HOST);
    await assert.rejects(shown(`Bearer ${token}`), CredentialError);
  });

  test('that is revoked is refused at each use, its session too, and one of its name that comes later is another', async (t) => {
    const { accounts, guard, basic, bearer, may, create } = await stage(t);
    const text = await create('ci');
    const principal: Principal = { kind: 'token', name: 'ci' };
    const { token } = await guard.issue(principal, HOST);
    await accounts.revokeToken('ci');
    for (const attempt of [() => basic('ci', text), () => bearer(text), () => bearer(token)]) {
      await assert.rejects(attempt(), CredentialError);
    }
    assert.throws(() => guard.redeem(text), CredentialError);
    assert.equal(may(principal, 'pull', NGINX), false);
    await create('ci');
    for (const attempt of [() => basic('ci', text), () => bearer(token)])
      await assert.rejects(attempt(), CredentialError);
  });

  test('of its own has the rules that name it, and those for every client', async (t) => {
    const { may, create } = await stage(t);
    await create('ci', { may: ['pull', 'status', 'catalog', 'proxy'] });
    const ci: Principal = { kind: 'token', name: 'ci' };
    assert.equal(may(ci, 'pull', { registry: 'quay.io', repository: 'a' }), true);
    assert.equal(may(ci, 'pull', NGINX), true);
    assert.equal(may(ci, 'status', undefined), true);
    assert.equal(may(ci, 'proxy', undefined), false);
    assert.equal(may(ci, 'pull', { registry: 'ghcr.io', repository: 'a' }), false);
    assert.equal(may({ kind: 'user', name: 'ci' }, 'pull', NGINX), false);
  });

  test('of a user has the rules of the user alone', async (t) => {
    const { accounts, may, create } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    await create('laptop', { owner: 'alice', may: ['pull', 'status'] });
    const laptop: Principal = { kind: 'token', name: 'laptop' };
    assert.equal(may(laptop, 'pull', { registry: 'ghcr.io', repository: 'a' }), true);
    assert.equal(may(laptop, 'status', undefined), false);
    assert.equal(may(laptop, 'catalog', { registry: 'ghcr.io', repository: '' }), false);
  });

  test('is named in a refusal', async (t) => {
    const { guard, create } = await stage(t);
    await create('ci');
    const decision = guard.authorize({
      principal: { kind: 'token', name: 'ci' },
      action: 'pull',
      repository: { registry: 'ghcr.io', repository: 'a' },
    });
    assert.deepEqual(decision, { allowed: false, reason: 'token:ci may not pull ghcr.io/a' });
  });

  test('never may what its principal may not, whatever its scopes, and nothing outside them', async (t) => {
    const { accounts, may, create } = await stage(t);
    await accounts.addUser('alice', PASSWORD);
    await create('ci', { may: ['pull', 'catalog', 'push', 'delete', 'status', 'admin', 'proxy'] });
    const actions: readonly Action[] = ['pull', 'catalog', 'status', 'proxy', 'push', 'delete', 'admin'];
    const patterns = ['**', 'docker.io/**', 'ghcr.io/a', 'ghcr.io/a/*', 'quay.io/**', 'mirror:m/**'];
    const places = ['docker.io/library/nginx', 'ghcr.io/a', 'ghcr.io/a/b', 'ghcr.io/', 'quay.io/x', 'mirror:m/x'];
    let made = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('alice', undefined),
        fc.subarray([...actions]),
        fc.subarray(patterns),
        async (owner, scopes, on) => {
          made += 1;
          const name = `t${made}`;
          await create(name, { owner, may: scopes, on });
          const whole: Principal = owner === undefined ? { kind: 'token', name } : { kind: 'user', name: owner };
          for (const action of actions) {
            for (const place of [undefined, ...places]) {
              const [registry = '', ...rest] = (place ?? '').split('/');
              const repository = place === undefined ? undefined : { registry, repository: rest.join('/') };
              const narrowed = may({ kind: 'token', name }, action, repository);
              if (!scopes.includes(action)) assert.equal(narrowed, false);
              if (owner !== undefined && narrowed) assert.equal(may(whole, action, repository), true);
            }
          }
          await accounts.revokeToken(name);
        },
      ),
      { numRuns: 300 },
    );
  });
});
