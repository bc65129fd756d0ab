import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import bcrypt from 'bcryptjs';
import { ControlError, callControl, controlSocketPath, OPERATIONS, type Operation } from '../../src/admin/index.ts';
import { ENTREPOT, startEntrepot } from '../support/app.ts';
import { buildImage } from '../support/image.ts';
import { basic as basicOf, bearer } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type RunResult, run, Workspace } from '../support/processes.ts';
import { rawRequest } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { mountSmallDisk } from '../support/small-disk.ts';

// Stored users and tokens over real sockets: made by the control socket and by commands, used by clients.

const image = buildImage({ seed: 'accounts' });
const PASSWORD = 'correct horse';
const NAMES = ['public/app', 'private/app', 'private/other'];

let dir: string;
let upstream: ScriptedUpstream;
let mirror: Mirror;
let config: Record<string, unknown>;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'entrepot-accounts-'));
  const htpasswd = join(dir, 'htpasswd');
  await writeFile(htpasswd, `filed:${bcrypt.hashSync('filed-password', 4)}\n`);
  upstream = await startScriptedUpstream();
  for (const name of NAMES) upstream.add(image, name, ['latest']);
  config = {
    default_registry: 'plain',
    registries: { plain: { upstreams: [upstream.url] } },
    mirrors: [{ name: 'site', prefix: '/site', upstream: upstream.url }],
    access: {
      htpasswd,
      groups: { robots: ['token:ci'] },
      rules: [
        { who: 'anonymous', may: ['pull'], on: ['plain/public/**'] },
        { who: ['alice', 'filed'], may: ['pull', 'catalog'], on: ['plain/private/**', 'mirror:site/**'] },
        { who: '@robots', may: ['pull'], on: ['plain/private/app'] },
      ],
    },
  };
  mirror = await startMirror(config);
  for (const name of ['alice', 'bob']) await operate(OPERATIONS.userAdd, { name, password: PASSWORD });
});
after(async () => {
  await mirror.stop();
  await upstream.stop();
  await rm(dir, { recursive: true, force: true });
});

const operate = <Input, Answer>(
  operation: Operation<Input, Answer, never>,
  input: object,
  on = mirror.dir,
): Promise<Answer> =>
  callControl(controlSocketPath(on), operation as unknown as Operation<object, Answer, never>, { input });

const createToken = async (name: string, change: object = {}, on = mirror.dir): Promise<string> =>
  (await operate(OPERATIONS.tokenCreate, { name, may: ['pull'], on: [], ...change }, on)).token;

const basic = (name: string, password = PASSWORD): Record<string, string> => basicOf(name, password);
const manifest = (repository: string): string => `/v2/${repository}/manifests/latest`;
const statusOf = async (path: string, headers: Record<string, string> = {}, of = mirror): Promise<number> =>
  (await of.get(path, headers)).status;

async function signed(headers: Record<string, string>): Promise<string> {
  const { status, body } = await mirror.get('/token', headers);
  assert.equal(status, 200, body.toString());
  return (JSON.parse(body.toString()) as { token: string }).token;
}

function post(form: Record<string, string>) {
  const body = new URLSearchParams(form).toString();
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': String(Buffer.byteLength(body)),
  };
  return rawRequest(mirror.host, { path: '/token', method: 'POST', headers, body });
}

describe('a stored user', () => {
  test('logs in and pulls what the rules allow', async () => {
    for (const headers of [basic('alice'), bearer(await signed(basic('alice')))]) {
      assert.equal(await statusOf('/v2/', headers), 200);
      assert.equal(await statusOf(manifest('private/app'), headers), 200);
    }
    assert.equal(await statusOf(manifest('private/app'), basic('bob')), 403);
    assert.equal(await statusOf('/v2/', basic('alice', 'wrong password')), 401);
  });

  test('who is disabled in the middle of a session is refused by the next request, and let in again', async () => {
    const token = await signed(basic('alice'));
    const mine = await createToken('of-alice', { owner: 'alice' });
    const shown = [basic('alice'), bearer(token), bearer(mine), basic('x', mine)];
    for (const headers of shown) assert.equal(await statusOf(manifest('private/app'), headers), 200);
    assert.deepEqual(await operate(OPERATIONS.userDisable, { name: 'alice' }), { name: 'alice', changed: true });
    for (const headers of shown) {
      assert.equal(await statusOf(manifest('private/app'), headers), 401);
      assert.equal(await statusOf('/token', headers), 401);
    }
    assert.deepEqual(await operate(OPERATIONS.userEnable, { name: 'alice' }), { name: 'alice', changed: true });
    for (const headers of shown) assert.equal(await statusOf(manifest('private/app'), headers), 200);
  });

  test('with another password has no session from the old one', async () => {
    const token = await signed(basic('alice'));
    await operate(OPERATIONS.userPasswd, { name: 'alice', password: 'another horse' });
    assert.equal(await statusOf('/v2/', bearer(token)), 401);
    assert.equal(await statusOf('/v2/', basic('alice')), 401);
    assert.equal(await statusOf('/v2/', basic('alice', 'another horse')), 200);
    await operate(OPERATIONS.userPasswd, { name: 'alice', password: PASSWORD });
    assert.equal(await statusOf('/v2/', basic('alice')), 200);
  });

  test('who is removed is unknown, with the tokens that acted for them', async () => {
    await operate(OPERATIONS.userAdd, { name: 'carol', password: PASSWORD });
    const mine = await createToken('of-carol', { owner: 'carol' });
    const token = await signed(basic('carol'));
    assert.deepEqual(await operate(OPERATIONS.userRemove, { name: 'carol' }), { name: 'carol', tokens: ['of-carol'] });
    for (const headers of [basic('carol'), bearer(token), bearer(mine)])
      assert.equal(await statusOf('/v2/', headers), 401);
  });

  test('is listed with those of the configuration, which keep their names', async () => {
    const { users } = await operate(OPERATIONS.users, {});
    assert.deepEqual(
      users.map(({ name, from }) => `${name} ${from}`),
      ['alice stored', 'bob stored', 'filed htpasswd'],
    );
    await assert.rejects(
      operate(OPERATIONS.userAdd, { name: 'filed', password: PASSWORD }),
      /access\.htpasswd has a user called filed/,
    );
    assert.equal(await statusOf('/v2/', basic('filed', 'filed-password')), 200);
  });

  test('of the configuration who is stored too is listed as one without effect', async () => {
    await mirror.reload({ ...config, forward_proxy: { user: 'bob', password: 'another password' } });
    try {
      const { users } = await operate(OPERATIONS.users, {});
      assert.deepEqual(users.map(({ name, from, unused }) => [name, from, unused]).slice(1), [
        ['bob', 'stored', undefined],
        ['filed', 'htpasswd', undefined],
        ['bob', 'forward_proxy', true],
      ]);
    } finally {
      await mirror.reload(config);
    }
  });

  test('is slowed down by wrong passwords before anything is hashed, and a known one is not', async () => {
    await operate(OPERATIONS.userAdd, { name: 'guessed', password: PASSWORD });
    assert.equal(await statusOf('/v2/', basic('guessed')), 200);
    const guesses = await Promise.all(
      Array.from({ length: 12 }, (_, at) => statusOf('/v2/', basic('guessed', `guess ${at}`))),
    );
    assert.ok(guesses.filter((status) => status === 429).length >= 6, String(guesses));
    assert.equal(await statusOf('/v2/', basic('guessed')), 200);
  });
});

describe('a token', () => {
  let ci: string;
  before(async () => {
    ci = await createToken('ci');
  });

  test('is taken as password, bearer, at the token service, and as a refresh token', async () => {
    const forms = [
      { grant_type: 'password', username: 'ci', password: ci, service: 'x' },
      { grant_type: 'password', username: 'other', password: ci },
      { grant_type: 'password', password: ci },
      { grant_type: 'refresh_token', refresh_token: ci },
    ];
    for (const form of forms) {
      const { status, body } = await post(form);
      assert.equal(status, 200, JSON.stringify(Object.keys(form)));
      const { access_token: token } = JSON.parse(body.toString()) as { access_token: string };
      assert.equal(await statusOf(manifest('private/app'), bearer(token)), 200);
    }
    for (const headers of [
      basic('ci', ci),
      basic('', ci),
      basic('bob', ci),
      bearer(ci),
      bearer(await signed(basic('ci', ci))),
    ]) {
      assert.equal(await statusOf('/v2/', headers), 200);
      assert.equal(await statusOf(manifest('private/app'), headers), 200);
      assert.equal(await statusOf(manifest('private/other'), headers), 403);
      assert.equal(await statusOf('/metrics', headers), 403);
    }
  });

  test('is named in the log and in refusals, and never shown', async () => {
    await mirror.get(manifest('private/other'), bearer(ci));
    const line = await mirror.logged(
      ({ msg, user, status }) => msg === 'request' && user === 'token:ci' && status === 403,
    );
    assert.match(String(line['error']), /^token:ci may not pull plain\/private\/other$/);
    await mirror.get(`/v2/${ci}/manifests/${ci}?token=${ci}&account=${ci}`, { 'user-agent': ci, referer: ci });
    await mirror.logged(
      ({ msg, status, path }) => msg === 'request' && status === 400 && String(path).includes('ent_***'),
    );
    const log = JSON.stringify(mirror.log);
    for (const secret of [ci, ci.slice(4, 24), PASSWORD]) assert.ok(!log.includes(secret), 'the log has a secret');
    const { msg } = await mirror.logged(({ change, name }) => change === 'token created' && name === 'ci');
    assert.equal(msg, 'account.changed');
  });

  test('is narrowed by its scopes, and widened by nothing', async () => {
    const narrow = await createToken('narrow', { owner: 'alice', may: ['pull'], on: ['plain/private/other'] });
    assert.equal(await statusOf(manifest('private/other'), bearer(narrow)), 200);
    for (const path of [manifest('private/app'), manifest('public/app'), '/v2/_catalog', '/site/v2/']) {
      assert.equal(await statusOf(path, bearer(narrow)), 403, path);
    }
    const lists = await createToken('lists', { owner: 'alice', may: ['catalog'], on: ['plain/private/other'] });
    const { body } = await mirror.get('/v2/_catalog', bearer(lists));
    assert.deepEqual(JSON.parse(body.toString()), { repositories: ['private/other'] });
    const wide = await createToken('wide', { may: ['pull', 'catalog', 'status', 'proxy'] });
    assert.equal(await statusOf(manifest('private/app'), bearer(wide)), 403);
    assert.equal(await statusOf('/metrics', bearer(wide)), 403);
    const site = await createToken('site', { owner: 'alice', on: ['mirror:site'] });
    assert.equal(await statusOf('/site/v2/', basic('x', site)), 200);
    assert.equal(await statusOf(manifest('private/app'), bearer(site)), 403);
  });

  test('that is revoked is refused by the next request, with its session', async () => {
    const text = await createToken('short');
    const session = await signed(basic('x', text));
    const shown = [basic('x', text), bearer(text), bearer(session)];
    for (const headers of shown) assert.equal(await statusOf('/v2/', headers), 200);
    await operate(OPERATIONS.tokenRevoke, { name: 'short' });
    for (const headers of shown) assert.equal(await statusOf('/v2/', headers), 401);
    assert.equal((await post({ grant_type: 'refresh_token', refresh_token: text })).status, 401);
    await createToken('short');
    for (const headers of shown) assert.equal(await statusOf('/v2/', headers), 401);
  });

  test('that expires is refused, with its session', async () => {
    const text = await createToken('brief', { expiresAt: Date.now() + 1500 });
    const session = await signed(basic('x', text));
    while ((await statusOf('/v2/', bearer(text))) === 200) await new Promise((done) => setTimeout(done, 50));
    for (const headers of [basic('x', text), bearer(text), bearer(session)])
      assert.equal(await statusOf('/v2/', headers), 401);
    const { tokens } = await operate(OPERATIONS.tokens, {});
    assert.equal(tokens.find(({ name }) => name === 'brief')?.state, 'expired');
  });

  test('that is forged, mistyped, huge or of another server is refused', async () => {
    const flipped = `${ci.slice(0, -1)}${ci.endsWith('0') ? '1' : '0'}`;
    const other = await startMirror(config);
    try {
      const foreign = await createToken('ci', {}, other.dir);
      assert.equal(await statusOf('/v2/', bearer(foreign), other), 200);
      for (const text of [
        foreign,
        flipped,
        ci.slice(0, -1),
        `${ci}0`,
        `ent_${'A'.repeat(49)}`,
        `ent_${'A'.repeat(7000)}`,
        'ent_',
      ]) {
        assert.equal(await statusOf('/v2/', bearer(text)), 401, text.slice(0, 70));
        assert.equal(await statusOf(manifest('public/app'), bearer(text)), 401, text.slice(0, 70));
        assert.equal((await post({ grant_type: 'refresh_token', refresh_token: text })).status, 401);
      }
      for (const text of [foreign, flipped]) assert.equal(await statusOf('/v2/', basic('ci', text)), 401);
      assert.ok([401, 431].includes(await statusOf('/v2/', bearer(`ent_${'A'.repeat(20_000)}`))));
    } finally {
      await other.stop();
    }
  });

  test('that is wrong does not slow others of its name or address down', async () => {
    const wrong = `ent_${'A'.repeat(49)}`;
    for (let guess = 0; guess < 30; guess += 1) assert.equal(await statusOf('/v2/', basic('ci', wrong)), 401);
    assert.equal(await statusOf('/v2/', basic('ci', ci)), 200);
  });

  test('is listed with what it is, when it ends and when it was used, and without what it is made of', async () => {
    const answer = await operate(OPERATIONS.tokens, {});
    const listed = answer.tokens.find(({ name }) => name === 'ci');
    assert.deepEqual([listed?.may, listed?.on, listed?.state, listed?.expiresAt], [['pull'], [], 'valid', undefined]);
    assert.ok(Math.abs((listed?.usedAt ?? 0) - Date.now()) < 600_000);
    assert.doesNotMatch(JSON.stringify(answer), /ent_|hash/);
  });

  for (const [title, change, expected] of [
    ['a name that is taken', { name: 'ci' }, /entrepot tokens revoke ci/],
    ['a user who is not there', { owner: 'ghost' }, /no stored user called ghost/],
    ['a user of the htpasswd file', { owner: 'filed' }, /no stored user called filed/],
    ['a pattern that matches nothing', { on: ['library/nginx'] }, /library is no registry/],
    ['a pattern of a route that is not there', { on: ['mirror:gone/**'] }, /no mirror route called gone/],
    ['patterns that narrow nothing', { may: ['status'], on: ['plain/**'] }, /leave them out/],
    ['no action', { may: [] }, /at least one of pull/],
    [
      'an action that is none',
      { may: ['connect'] },
      /expected some of pull, catalog, push, delete, status, admin, proxy/,
    ],
    ['a name of another kind', { name: 'user:x' }, /no blanks or colons/],
    ['a time that has passed', { expiresAt: 1 }, /expired already/],
  ] as const) {
    test(`is not created with ${title}`, async () => {
      await assert.rejects(createToken('fresh', change), (error: Error) => {
        assert.ok(error instanceof ControlError);
        assert.match(error.message, expected);
        return true;
      });
    });
  }
});

describe('what is said of users and tokens', () => {
  const warnings = async (): Promise<string> => ((await mirror.app.status()).warnings ?? []).join('\n');

  test('a rule for a token that is not there is warned of until it is there', async () => {
    const rules = [
      { who: 'token:later', may: ['pull'], on: ['plain/**'] },
      { who: 'token:of-alice', may: ['pull'], on: ['plain/private/**'] },
    ];
    await mirror.reload({ ...config, access: { rules } });
    try {
      assert.match(
        await warnings(),
        /access\.rules\[0\]\.who: there is no token called later; create it with `entrepot tokens create later`/,
      );
      assert.match(await warnings(), /token:of-alice acts for alice, whose rules decide; name alice/);
      assert.match(await warnings(), /no rule names alice and \d+ more/);
      await createToken('later');
      assert.doesNotMatch(await warnings(), /no token called later/);
    } finally {
      await mirror.reload(config);
    }
  });

  test('a user whom no rule names is added with a warning', async () => {
    const { warnings } = await operate(OPERATIONS.userAdd, { name: 'dave', password: PASSWORD });
    assert.match(warnings.join(), /no rule names dave/);
    const made = await operate(OPERATIONS.tokenCreate, { name: 'spare', may: ['pull'], on: [] });
    assert.match(made.warnings.join(), /no rule names token:spare/);
    const named = await operate(OPERATIONS.tokenCreate, {
      name: 'named',
      owner: 'alice',
      may: ['pull'],
      on: ['plain/*'],
    });
    assert.deepEqual([named.warnings, named.on], [[], ['plain/*']]);
  });

  test('gc, purge and scrub leave the file alone, and do not report it', async () => {
    const gc = await operate(OPERATIONS.gc, { maxSize: 0 });
    assert.equal(gc.unknown?.count, 0, JSON.stringify(gc.unknown));
    await operate(OPERATIONS.purge, { patterns: ['**'] });
    assert.ok((await stat(join(mirror.dir, 'access.db'))).size > 0);
    assert.equal(await statusOf('/v2/', basic('alice')), 200);
  });
});

describe('the forward proxy', () => {
  test('takes a token as the password, and asks the gate for it', async () => {
    const proxy = await startMirror({
      registries: { 'ghcr.io': { upstreams: [upstream.url] } },
      forward_proxy: { enabled: true, allowed_hosts: ['ghcr.io'], ports: [80] },
      access: {
        rules: [
          { who: 'token:ci', may: ['proxy'] },
          { who: 'token:ci', may: ['pull'], on: ['ghcr.io/private/app'] },
        ],
      },
    });
    try {
      const ci = await createToken('ci', { may: ['proxy', 'pull'] }, proxy.dir);
      const pullOnly = await createToken('pull-only', {}, proxy.dir);
      const through = async (name: string, text: string): Promise<number> =>
        (
          await rawRequest(proxy.host, {
            path: `http://ghcr.io${manifest(name)}`,
            headers: { host: 'ghcr.io', 'proxy-authorization': basic('x', text)['authorization'] ?? '' },
          })
        ).status;
      assert.equal(await through('private/app', ci), 200);
      assert.equal(await through('private/other', ci), 403);
      assert.equal(await through('private/app', pullOnly), 403);
      await operate(OPERATIONS.tokenRevoke, { name: 'ci' }, proxy.dir);
      assert.equal(await through('private/app', ci), 407);
    } finally {
      await proxy.stop();
    }
  });
});

describe('commands', () => {
  let workspace: Workspace;
  before(async () => {
    workspace = await Workspace.open();
  });
  after(() => workspace.close());

  const entrepot = (args: readonly string[], input?: string): Promise<RunResult> =>
    run(['sh', ENTREPOT, ...args], {
      env: { ...process.env, NODE_NO_WARNINGS: '1' },
      ...(input !== undefined && { input }),
    });
  const add = (name: string, on: string, password = PASSWORD): Promise<RunResult> =>
    entrepot(['users', 'add', name, '--password-stdin', '--cache-dir', on], `${password}\n`);
  const succeeds = async (result: Promise<RunResult>): Promise<string> => {
    const { code, stdout, stderr } = await result;
    assert.equal(code, 0, `${stdout}${stderr}`);
    return stdout;
  };

  test('a user who was added survives kill -9, and those of another server are not touched', async () => {
    const rules = { access: { rules: [{ who: 'alice', may: ['pull'], on: ['**'] }] } };
    const first = await startEntrepot(workspace, rules);
    const second = await startEntrepot(workspace, rules);
    await succeeds(add('alice', first.dir));
    first.process.kill('SIGKILL');
    await first.process.exited;
    const again = await startEntrepot(workspace, rules, { dir: first.dir });
    const login = async (url: string): Promise<number> =>
      (await fetch(`${url}/v2/`, { headers: basic('alice') })).status;
    assert.deepEqual([await login(again.url), await login(second.url)], [200, 401]);
    await again.stop();
    await second.stop();
    // The same without a server, one command after the other.
    const token = (
      await succeeds(entrepot(['tokens', 'create', 'ci', '--expires', 'never', '--cache-dir', first.dir]))
    ).trim();
    assert.match(token, /^ent_[0-9A-Za-z]{49}$/);
    await succeeds(entrepot(['users', 'disable', 'alice', '--cache-dir', first.dir]));
    const third = await startEntrepot(workspace, rules, { dir: first.dir });
    assert.equal(await login(third.url), 401);
    assert.equal((await fetch(`${third.url}/v2/`, { headers: bearer(token) })).status, 200);
    assert.match(await succeeds(entrepot(['users', 'list', '--cache-dir', first.dir])), /^alice +disabled +stored/m);
    assert.match(
      await succeeds(entrepot(['tokens', 'list', '--cache-dir', first.dir])),
      /^ci +valid .* never .* pull$/m,
    );
    assert.doesNotMatch(third.process.output(), new RegExp(token));
    await third.stop();
  });

  test('at once all take effect without a server too', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'entrepot-turns-'));
    try {
      await (await startMirror({}, { dir })).stop();
      await Promise.all(['u1', 'u2', 'u3', 'u4'].map((name) => succeeds(add(name, dir))));
      assert.equal((await succeeds(entrepot(['users', 'list', '--cache-dir', dir]))).match(/^u\d /gm)?.length, 4);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  test('at once all take effect, and one of those with the same name', async () => {
    const results = await Promise.all(['u1', 'u2', 'u3', 'same', 'same'].map((name) => add(name, mirror.dir)));
    assert.deepEqual(
      results.filter(({ code }) => code !== 0).map(({ code }) => code),
      [1],
    );
    assert.match(results.map(({ stderr }) => stderr).join(''), /there is a user called same already/);
    for (const name of ['u1', 'u2', 'u3', 'same']) assert.equal(await statusOf('/v2/', basic(name)), 200);
  });

  for (const [title, args, input, code, expected] of [
    ['a password that is piped without the flag', ['add', 'x'], `${PASSWORD}\n`, 2, /--password-stdin/],
    ['no password', ['add', 'x', '--password-stdin'], '', 1, /empty/],
    ['a short one', ['add', 'x', '--password-stdin'], 'short', 1, /8 to 256 characters/],
    ['two lines', ['add', 'x', '--password-stdin'], 'one line\nanother\n', 1, /control characters/],
    ['a whole file', ['add', 'x', '--password-stdin'], 'x'.repeat(5000), 1, /more than 4096 bytes/],
    ['a password as an argument', ['add', 'x', PASSWORD], '', 2, /too many arguments/],
    ['a user who is not there', ['disable', 'ghost'], '', 1, /no stored user called ghost/],
  ] as const) {
    test(`users: ${title} is refused with the remedy`, async () => {
      const result = await entrepot(['users', ...args, '--cache-dir', mirror.dir], input);
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, expected);
      assert.ok(!result.stderr.includes(PASSWORD) || title.includes('argument'));
    });
  }

  test('have the same limits without a server', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'entrepot-alone-'));
    try {
      const on = Array.from({ length: 101 }, (_, at) => ['--on', `docker.io/a/${at}`]).flat();
      const { code, stdout, stderr } = await entrepot(['tokens', 'create', 'many', ...on, '--cache-dir', dir]);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /Cannot do `tokens\/create`: on: expected at most 100 patterns/);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  for (const [title, args, expected] of [
    ['a lifetime without a unit', ['--expires', '90'], /no time; expected a duration/],
    ['a lifetime of nothing', ['--expires', '0'], /no time/],
    ['an unknown action', ['--may', 'pull,fly'], /Found "fly"; expected some of pull/],
  ] as const) {
    test(`tokens: ${title} is refused with the remedy`, async () => {
      const result = await entrepot(['tokens', 'create', 'x', ...args, '--cache-dir', mirror.dir]);
      assert.equal(result.code, 2, result.stderr);
      assert.match(result.stderr, expected);
    });
  }

  test('say that nothing asks for users without access:, and that users need a cache', async () => {
    const open = await startMirror({});
    try {
      const { code, stdout, stderr } = await add('alice', open.dir);
      assert.deepEqual([code, stdout], [0, 'Added alice.\n']);
      assert.match(stderr, /no access:, so no client is asked for a user/);
      assert.equal(await statusOf('/v2/', {}, open), 200);
      await open.reload({ access: { rules: [{ who: 'alice', may: ['pull'], on: ['**'] }] } });
      assert.equal(await statusOf('/v2/', basic('alice'), open), 200);
    } finally {
      await open.stop();
    }
    const off = await workspace.file('off.yaml', 'cache: off\n');
    const { code, stderr } = await entrepot(['users', 'list', '--config', off]);
    assert.equal(code, 1);
    assert.match(stderr, /stored in the cache directory, and the configuration has no cache/);
  });

  test('lock a user out although the configuration has a mistake', async () => {
    const server = await startMirror({ access: { rules: [] } });
    try {
      await succeeds(add('alice', server.dir));
      const broken = await workspace.file('broken.yaml', `cache: {dir: ${server.dir}}\naccess: {rules: [{who: 1}]}\n`);
      await succeeds(entrepot(['users', 'disable', 'alice', '--config', broken]));
      assert.equal(await statusOf('/v2/', basic('alice'), server), 401);
    } finally {
      await server.stop();
    }
  });

  test('lock a user out although the file of users was removed under the server, and say what is left to do', async () => {
    const server = await startMirror({ access: { rules: [] } });
    try {
      await succeeds(add('alice', server.dir));
      assert.equal(await statusOf('/v2/', basic('alice'), server), 200);
      await rm(join(server.dir, 'access.db'));
      const { code, stderr } = await entrepot(['users', 'disable', 'alice', '--cache-dir', server.dir]);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /alice is refused from now on by this server; that could not be stored \(it cannot be written/,
      );
      assert.match(stderr, /put the file back .*, and run the command again\n$/);
      assert.equal(await statusOf('/v2/', basic('alice'), server), 401);
    } finally {
      await server.stop();
    }
  });

  test('lock a user out although the disk of the server is full, and suggest rules there too', async (t) => {
    const disk = await mountSmallDisk(t, 4 * 1024 * 1024);
    if (disk === undefined) return;
    const rules = { ...config, access: { rules: [{ who: 'alice', may: ['pull'], on: ['plain/private/**'] }] } };
    const server = await startMirror(rules, { dir: disk });
    try {
      await succeeds(add('alice', disk));
      const ofUser = await createToken('of-alice', { owner: 'alice' }, disk);
      const filler = join(disk, 'others');
      await writeFile(filler, Buffer.alloc(4 * 1024 * 1024)).catch(() => undefined);
      assert.equal(await statusOf(manifest('private/app'), basic('alice'), server), 200);
      const suggested = await entrepot(['access', 'suggest', '--cache-dir', disk]);
      assert.match(suggested.stdout, /who: alice[^]*plain\/private\/app/, suggested.stderr);
      const passwd = await entrepot(
        ['users', 'passwd', 'alice', '--password-stdin', '--cache-dir', disk],
        'longer than eight',
      );
      assert.match(
        passwd.stderr,
        /the password of alice is as it was, because the new one could not be stored \(its disk is full\)/,
      );
      const disable = () => entrepot(['users', 'disable', 'alice', '--cache-dir', disk]);
      const refused = await disable();
      assert.equal(refused.code, 1);
      assert.equal(
        refused.stderr,
        'The server could not do `users disable`: alice is refused from now on by this server; that could not be stored ' +
          '(its disk is full), so it ends at the next restart: make room on it, and run the command again\n',
      );
      for (const headers of [basic('alice'), bearer(ofUser)]) {
        assert.equal(await statusOf('/v2/', headers, server), 401);
      }
      await rm(filler);
      assert.equal(await succeeds(disable()), 'alice is disabled, and refused with all tokens.\n');
    } finally {
      await server.stop();
    }
    const again = await startMirror(rules, { dir: disk });
    try {
      assert.equal(await statusOf('/v2/', basic('alice'), again), 401);
    } finally {
      await again.stop();
    }
  });

  test('explain and validate know the stored users and tokens, beside the server too', async () => {
    const file = await workspace.file('explain.yaml', JSON.stringify({ ...config, cache: { dir: mirror.dir } }));
    const explain = (...args: readonly string[]) => entrepot(['access', 'explain', ...args, '--config', file]);
    await createToken('explained', { owner: 'alice', on: ['plain/private/app'] });
    const allowed = await explain('token:explained', 'pull', 'plain/private/app');
    assert.equal(allowed.code, 0, allowed.stderr);
    assert.match(
      allowed.stdout,
      /allowed: pull on plain\/private\/app by token:explained, which acts for alice\n.*access\.rules\[1\]: decides/,
    );
    const refused = await explain('token:explained', 'pull', 'plain/private/other');
    assert.equal(refused.code, 1);
    assert.match(refused.stdout, /the token is narrowed to pull on plain\/private\/app/);
    assert.equal((await explain('token:ci', 'pull', 'plain/private/app')).code, 0);
    const validated = await entrepot(['config', 'validate', '--config', file]);
    assert.equal(validated.code, 0, validated.stderr);
    assert.doesNotMatch(validated.stdout, /alice cannot log in|no token called ci/);
  });
});

describe('a file of users and tokens that is damaged', () => {
  test('stops the start and the reload that need it, with the remedy, and is not replaced', async () => {
    const workspace = await Workspace.open();
    const cache = workspace.path('cache');
    const rules = { access: { rules: [{ who: 'alice', may: ['pull'], on: ['**'] }] } };
    try {
      const first = await startMirror(rules, { dir: cache });
      await operate(OPERATIONS.userAdd, { name: 'alice', password: PASSWORD }, cache);
      await first.stop();
      const file = join(cache, 'access.db');
      await truncate(file, 0);
      await assert.rejects(
        startMirror(rules, { dir: cache }),
        /access\.db: it is empty\. Put a copy from your backup in its place/,
      );
      assert.equal((await stat(file)).size, 0);
      const open = await startMirror({}, { dir: cache });
      try {
        const { outcome, problems } = await open.reload(rules);
        assert.equal(outcome, 'refused');
        assert.match(problems.join(), /it is empty/);
        await assert.rejects(operate(OPERATIONS.users, {}, cache), /it is empty/);
        // The operator moves it away: the next attempt finds that.
        await rm(file);
        assert.equal((await open.reload(rules)).outcome, 'changed');
        assert.equal(await statusOf('/v2/', basic('alice'), open), 401);
      } finally {
        await open.stop();
      }
    } finally {
      await workspace.close();
    }
  });
});
