import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OPERATIONS } from '../../src/admin/index.ts';
import { ask, beginSession, operate, operatorSession, problemIn } from '../support/api-stage.ts';
import { basic, bearer, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';

// Users, tokens and sessions at the API of a server with rules, over real sockets.

const READ = '/api/v1/session';
const ADMIN_READ = '/api/v1/webhooks';
const CHANGE = '/api/v1/reload';
const PASSWORD = 'correct horse';

let dir: string;
let mirror: Mirror;
let config: Record<string, unknown>;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'entrepot-api-'));
  const htpasswd = join(dir, 'htpasswd');
  await writeFile(htpasswd, htpasswdOf('filed'));
  config = {
    access: {
      htpasswd,
      rules: [
        { who: ['alice', 'filed', 'token:robot', 'carol'], may: ['status', 'admin'] },
        { who: ['bob', 'token:reader'], may: ['status'] },
        { who: 'dave', may: ['pull'], on: ['docker.io/**'] },
      ],
    },
  };
  mirror = await startMirror(config);
  for (const name of ['alice', 'bob', 'carol', 'dave'])
    await operate(mirror, OPERATIONS.userAdd, { name, password: PASSWORD });
});
after(async () => {
  await mirror.stop();
  await rm(dir, { recursive: true, force: true });
});

const stored = (name: string) => basic(name, PASSWORD);
const reloads = (): number => mirror.log.filter(({ msg }) => msg === 'config.reloaded').length;

/** What happens to a change. */
async function change(
  headers: Readonly<Record<string, string>>,
): Promise<{ readonly status: number; readonly done: boolean }> {
  const had = reloads();
  const { status } = await ask(mirror, 'POST', CHANGE, { headers, body: {} });
  return { status, done: reloads() > had };
}

describe('by a credential', () => {
  test('a user reads and changes what the rules allow', async () => {
    assert.equal((await ask(mirror, 'GET', ADMIN_READ, { headers: stored('alice') })).status, 200);
    assert.deepEqual(await change(stored('alice')), { status: 200, done: true });
    assert.deepEqual(await change(basic('filed')), { status: 200, done: true });
    problemIn(await ask(mirror, 'GET', ADMIN_READ, { headers: stored('bob') }), 403);
    assert.deepEqual(await change(stored('bob')), { status: 403, done: false });
    problemIn(await ask(mirror, 'GET', '/api/openapi.json', { headers: stored('dave') }), 403);
    assert.deepEqual(await change(stored('dave')), { status: 403, done: false });
  });

  test('a token does, within its scope', async () => {
    const create = async (name: string, may: readonly string[]) =>
      (await operate(mirror, OPERATIONS.tokenCreate, { name, may, on: [] })).token;
    const robot = await create('robot', ['status', 'admin']);
    const reader = await create('reader', ['status', 'admin']);
    const narrow = (
      await operate(mirror, OPERATIONS.tokenCreate, { name: 'narrow', owner: 'alice', may: ['status'], on: [] })
    ).token;
    assert.deepEqual(await change(bearer(robot)), { status: 200, done: true });
    assert.deepEqual(await change(bearer(reader)), { status: 403, done: false });
    assert.deepEqual(await change(bearer(narrow)), { status: 403, done: false });
    assert.equal((await ask(mirror, 'GET', '/api/openapi.json', { headers: bearer(narrow) })).status, 200);
    await operate(mirror, OPERATIONS.tokenRevoke, { name: 'robot' });
    assert.deepEqual(await change(bearer(robot)), { status: 401, done: false });
  });

  test('none, a wrong one, or one that is malformed is refused without a dialog of the browser', async () => {
    const shown = [{}, basic('alice', 'wrong'), { authorization: 'Bearer x' }, { authorization: 'Session x' }];
    for (const headers of shown) {
      for (const [method, path] of [
        ['GET', ADMIN_READ],
        ['GET', '/api/v1/events'],
        ['POST', CHANGE],
      ] as const) {
        const answer = await ask(mirror, method, path, { headers, ...(method === 'POST' && { body: {} }) });
        problemIn(answer, 401);
        assert.equal(answer.headers['www-authenticate'], 'Session realm="entrepot"');
      }
    }
  });

  test('who one is may be asked without one', async () => {
    const { value } = await ask(mirror, 'GET', READ);
    assert.deepEqual(value, {
      principal: 'anonymous',
      mode: 'rules',
      canRead: false,
      canChange: false,
      canLogIn: true,
    });
    const { value: bob } = await ask(mirror, 'GET', READ, { headers: stored('bob') });
    assert.deepEqual(bob, { principal: 'bob', mode: 'rules', canRead: true, canChange: false, canLogIn: true });
  });
});

describe('a session', () => {
  const logIn = (user: string, password = PASSWORD) => beginSession(mirror, { user, password });

  test('is that of the user, with a cookie that no script reads and no other site sends', async () => {
    const { setCookie, reading, changing, value } = await logIn('alice');
    const port = mirror.host.split(':')[1];
    assert.match(setCookie, new RegExp(`^entrepot-${port}=[\\w-]{43}; Path=/api; HttpOnly; SameSite=Strict$`));
    assert.deepEqual([value['principal'], value['canRead'], value['canChange']], ['alice', true, true]);
    assert.equal((await ask(mirror, 'GET', ADMIN_READ, { headers: reading })).status, 200);
    assert.deepEqual(await change(changing), { status: 200, done: true });
  });

  test('changes nothing without its token', async () => {
    const { reading, changing } = await logIn('alice');
    const other = await logIn('alice');
    const token = changing['x-entrepot-token'] ?? '';
    const shown = [
      undefined,
      '',
      'x',
      token.slice(1),
      `${token}x`,
      token.toUpperCase(),
      other.changing['x-entrepot-token'] ?? '',
    ];
    for (const each of shown) {
      const headers = each === undefined ? reading : { ...reading, 'x-entrepot-token': each };
      assert.deepEqual(await change(headers), { status: 403, done: false });
      problemIn(await ask(mirror, 'DELETE', READ, { headers }), 403);
    }
    // A password that the browser remembers and sends along does not stand for the token.
    assert.deepEqual(await change({ ...reading, ...stored('alice') }), { status: 403, done: false });
    assert.deepEqual(await change(changing), { status: 200, done: true });
  });

  test('of one who may not change does not', async () => {
    const { changing, value } = await logIn('bob');
    assert.deepEqual([value['canRead'], value['canChange']], [true, false]);
    assert.deepEqual(await change(changing), { status: 403, done: false });
    problemIn(await ask(mirror, 'GET', ADMIN_READ, { headers: changing }), 403);
  });

  test('is ended by its user', async () => {
    const { changing, reading } = await logIn('alice');
    const answer = await ask(mirror, 'DELETE', READ, { headers: changing });
    assert.equal(answer.status, 200);
    assert.match(answer.headers['set-cookie'] ?? '', /=; .*Max-Age=0$/);
    problemIn(await ask(mirror, 'GET', ADMIN_READ, { headers: reading }), 401);
    assert.deepEqual(await change(changing), { status: 401, done: false });
  });

  test('has an id that no client chooses, and a new one ends the one before', async () => {
    const port = mirror.host.split(':')[1];
    const chosen = `entrepot-${port}=${'A'.repeat(43)}`;
    const begun = await beginSession(mirror, { user: 'alice', password: PASSWORD }, { cookie: chosen });
    assert.notEqual(begun.cookie, chosen);
    problemIn(await ask(mirror, 'GET', ADMIN_READ, { headers: { cookie: chosen } }), 401);
    const next = await beginSession(mirror, { user: 'alice', password: PASSWORD }, begun.reading);
    problemIn(await ask(mirror, 'GET', ADMIN_READ, { headers: begun.reading }), 401);
    assert.equal((await ask(mirror, 'GET', ADMIN_READ, { headers: next.reading })).status, 200);
    // Of two, another site may have set one.
    for (const cookie of [`${chosen}; ${next.cookie}`, `${next.cookie}; ${chosen}`]) {
      problemIn(await ask(mirror, 'GET', ADMIN_READ, { headers: { cookie } }), 401);
    }
  });

  const ends: Readonly<Record<string, () => Promise<unknown>>> = {
    'is disabled': () => operate(mirror, OPERATIONS.userDisable, { name: 'carol' }),
    'is removed': () => operate(mirror, OPERATIONS.userRemove, { name: 'carol' }),
    'has another password': () => operate(mirror, OPERATIONS.userPasswd, { name: 'carol', password: 'another horse' }),
  };
  for (const [name, end] of Object.entries(ends)) {
    test(`ends when its user ${name}, and stays ended`, async () => {
      await operate(mirror, OPERATIONS.userRemove, { name: 'carol' }).catch(() => undefined);
      await operate(mirror, OPERATIONS.userAdd, { name: 'carol', password: PASSWORD });
      const { changing } = await logIn('carol');
      assert.deepEqual(await change(changing), { status: 200, done: true });
      await end();
      assert.deepEqual(await change(changing), { status: 401, done: false });
      problemIn(await ask(mirror, 'GET', ADMIN_READ, { headers: changing }), 401);
      await operate(mirror, OPERATIONS.userRemove, { name: 'carol' }).catch(() => undefined);
      await operate(mirror, OPERATIONS.userAdd, { name: 'carol', password: PASSWORD });
      assert.deepEqual(await change(changing), { status: 401, done: false });
    });
  }

  test('of a token ends when the token is revoked', async () => {
    const { token } = await operate(mirror, OPERATIONS.tokenCreate, {
      name: 'robot',
      may: ['status', 'admin'],
      on: [],
    });
    const { changing, value } = await beginSession(mirror, { user: 'x', password: token });
    assert.equal(value['principal'], 'token:robot');
    assert.deepEqual(await change(changing), { status: 200, done: true });
    await operate(mirror, OPERATIONS.tokenRevoke, { name: 'robot' });
    assert.deepEqual(await change(changing), { status: 401, done: false });
  });

  test('lasts over a reload, which may take its right', async () => {
    const { changing, reading } = await logIn('alice');
    const rules = [{ who: 'alice', may: ['status'] }];
    assert.equal((await mirror.reload({ access: { ...(config['access'] as object), rules } })).outcome, 'changed');
    assert.equal((await ask(mirror, 'GET', '/api/openapi.json', { headers: reading })).status, 200);
    assert.deepEqual(await change(changing), { status: 403, done: false });
    // Without rules, a user is no more.
    await mirror.reload({});
    assert.equal(
      ((await ask(mirror, 'GET', READ, { headers: reading })).value as { principal: string }).principal,
      'anonymous',
    );
    assert.deepEqual(await change(changing), { status: 403, done: false });
    await mirror.reload(config);
    assert.deepEqual(await change(changing), { status: 401, done: false });
  });

  test('of an operator does all, whatever the rules are', async () => {
    const { changing, value } = await operatorSession(mirror);
    assert.equal(value['principal'], 'operator');
    assert.deepEqual(await change(changing), { status: 200, done: true });
    await mirror.reload(config);
    assert.deepEqual(await change(changing), { status: 200, done: true });
  });

  test('begins once with a code', async () => {
    const { code } = await operate(mirror, OPERATIONS.console);
    await beginSession(mirror, { code });
    problemIn(await ask(mirror, 'POST', READ, { body: { code } }), 401);
    problemIn(await ask(mirror, 'POST', READ, { body: { code: 'x' } }), 401);
    for (const body of [{}, { code, user: 'alice' }, { user: 'alice' }, { code: 1 }, { code: 'x'.repeat(101) }, []]) {
      problemIn(await ask(mirror, 'POST', READ, { body }), 400);
    }
    problemIn(await ask(mirror, 'POST', READ, { body: { code }, headers: { 'content-type': 'text/plain' } }), 415);
  });
});

test('what a page does by itself does not renew its session, and what a person does renews it', async () => {
  const { reading } = await beginSession(mirror, { user: 'alice', password: PASSWORD });
  const expiry = async (headers: Readonly<Record<string, string>> = {}): Promise<number> =>
    ((await ask(mirror, 'GET', READ, { headers: { ...reading, ...headers } })).value as { expiresAt: number })
      .expiresAt;
  const first = await expiry();
  // The clock has milliseconds.
  await sleep(2);
  assert.equal(await expiry(), first);
  assert.ok((await expiry({ 'x-entrepot-active': '1' })) > first);
});

test('passwords that are guessed have to wait, also for a session', async () => {
  const name = 'eve';
  await operate(mirror, OPERATIONS.userAdd, { name, password: PASSWORD });
  const statuses: number[] = [];
  for (let guess = 0; guess < 8; guess += 1) {
    const answer = await ask(mirror, 'POST', READ, { body: { user: name, password: `guess ${guess}` } });
    statuses.push(answer.status);
    if (answer.status === 429) assert.ok(Number(answer.headers['retry-after']) >= 1);
    assert.equal(answer.headers['set-cookie'], undefined);
  }
  assert.deepEqual(statuses.slice(0, 5), [401, 401, 401, 401, 401]);
  assert.ok(statuses.includes(429), statuses.join(' '));
});
