import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { callControl, controlSocketPath, OPERATIONS, type SuggestAnswer } from '../../src/admin/index.ts';
import { gc } from '../../src/cli/commands/cache/gc.ts';
import { validateConfig } from '../../src/cli/commands/config/config.ts';
import { suggest } from '../../src/cli/commands/config/suggest.ts';
import { loadConfig } from '../../src/config/index.ts';
import { buildImage } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { rawRequest } from '../support/raw-request.ts';
import { PERSONALITIES } from '../support/scripted/personality.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { file, type ScriptedSite, startSite } from '../support/site.ts';

// What requests did, as the server counts it, and the rules that are suggested from it.

const image = buildImage({ seed: 'observed' });
const manifest = (repository: string): string => `/v2/${repository}/manifests/latest`;

let scratch: string;
let upstream: ScriptedUpstream;
let site: ScriptedSite;
let htpasswd: string;

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'entrepot-observed-'));
  htpasswd = join(scratch, 'htpasswd');
  await writeFile(htpasswd, htpasswdOf('alice', 'bob'));
  upstream = await startScriptedUpstream();
  site = await startSite({ '*': file(Buffer.from('a page')) });
  for (const name of ['base/a', 'base/b', 'base/c', 'ours/app', 'ours/other']) upstream.add(image, name, ['latest']);
});
after(async () => {
  await upstream.stop();
  await site.stop();
  await rm(scratch, { recursive: true, force: true });
});

const ACCESS = (): Record<string, unknown> => ({
  htpasswd,
  rules: [
    { who: 'anonymous', may: ['pull'], on: ['plain/base/**'] },
    { who: 'alice', may: ['pull', 'catalog'], on: ['plain/ours/**', 'mirror:site/**'] },
    { who: 'bob', may: ['status'] },
  ],
});
const configOf = (access: unknown): Record<string, unknown> => ({
  default_registry: 'plain',
  registries: { plain: { upstreams: [upstream.url] } },
  mirrors: [{ name: 'site', prefix: '/site', upstream: site.url }],
  ...(access !== undefined && { access }),
});

interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function printed(
  run: (output: { out(text: string): void; err(text: string): void }) => Promise<number>,
): Promise<Printed> {
  let out = '';
  let err = '';
  const code = await run({ out: (text) => (out += text), err: (text) => (err += text) });
  return { code, out, err };
}

const suggested = (dir: string, options: { since?: string; generalize?: boolean } = {}): Promise<Printed> =>
  printed((output) => suggest({ flags: { cacheDir: dir }, ...options }, output));

async function observedBy(mirror: Mirror): Promise<NonNullable<SuggestAnswer['observed']>> {
  const { observed } = await callControl(controlSocketPath(mirror.dir), OPERATIONS.suggest, {
    input: { within: 60_000, generalize: false },
  });
  assert.ok(observed !== null);
  return observed;
}

/** `alice pull plain/ours/app`, for each principal, action and pattern of the rules. */
const grantsOf = ({ rules }: NonNullable<SuggestAnswer['observed']>): readonly string[] =>
  rules
    .flatMap(({ who, may, on }) =>
      who.flatMap((one) =>
        may.flatMap((action) =>
          (on.length === 0 ? [''] : on.map(({ pattern }) => pattern)).map((pattern) =>
            `${one} ${action} ${pattern}`.trim(),
          ),
        ),
      ),
    )
    .toSorted();

describe('access suggest', () => {
  let mirror: Mirror;
  let requests = 0;
  before(async () => {
    mirror = await startMirror(configOf(ACCESS()));
  });
  after(() => mirror.stop());
  /** The request is counted when its connection has taken the answer; its log line says so. */
  async function get(path: string, headers: Record<string, string> = {}): Promise<number> {
    const { status } = await mirror.get(path, headers);
    requests += 1;
    await mirror.logged(({ msg }) => msg === 'request', { count: requests });
    return status;
  }

  test('says since when it observes, and what to do, where nothing was observed', async () => {
    const { code, out, err } = await suggested(mirror.dir);
    assert.equal(code, 1);
    assert.equal(out, '');
    assert.match(
      err,
      /^No request was observed since \d{4}-\d\d-\d\d \d\d:\d\d UTC, when observing began\.\nSet `access: \{audit: true\}`/,
    );
  });

  test('shows what clients did, and not what did not exist, what only looked or what was wrong', async () => {
    assert.equal(await get(manifest('base/a')), 200);
    assert.equal(await get(manifest('base/b')), 200);
    assert.equal(await get(manifest('base/b'), basic('bob')), 200);
    assert.equal(await get(manifest('ours/app'), basic('alice')), 200);
    assert.equal(await get('/v2/_catalog', basic('alice')), 200);
    assert.equal(await get('/site/dist/v1/file.tgz', basic('alice')), 200);
    assert.equal(await get('/metrics', basic('bob')), 200);
    assert.equal(await get(manifest('ours/other'), basic('bob')), 403);
    assert.equal(await get(manifest('base/absent')), 404);
    assert.equal(await get('/v2/', basic('alice')), 200);
    assert.equal(await get(manifest('base/c'), basic('bob', 'wrong')), 401);
    assert.equal(await get(manifest('ours/app')), 401);
    const observed = await observedBy(mirror);
    assert.deepEqual(grantsOf(observed), [
      'alice catalog plain/base/a',
      'alice catalog plain/base/b',
      'alice catalog plain/ours/app',
      'alice pull mirror:site/dist/v1/**',
      'alice pull plain/ours/app',
      'anonymous pull plain/base/a',
      'anonymous pull plain/base/b',
      'bob status',
    ]);
    assert.deepEqual(
      observed.refused.map(({ principal, target, requests }) => [principal, target, requests]),
      [['bob', 'plain/ours/other', 1]],
    );
  });

  test('counts refusals and answers in the metrics, by registry', async () => {
    const { body } = await mirror.get('/metrics', basic('bob'));
    requests += 1;
    const text = body.toString();
    assert.match(text, /^entrepot_access_requests_total\{verdict="allowed",registry="plain"\} 5$/m);
    assert.match(text, /^entrepot_access_requests_total\{verdict="denied",registry="plain"\} 2$/m);
    assert.match(text, /^entrepot_access_requests_total\{verdict="allowed",registry="site"\} 1$/m);
  });

  test('prints what `config validate` takes, and what lets the same requests through', async () => {
    const { code, out } = await suggested(mirror.dir, { since: '1h' });
    assert.equal(code, 0);
    const path = join(scratch, 'suggested.yaml');
    const { access: _, ...rest } = configOf(undefined);
    const lines = Object.entries(rest).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
    await writeFile(path, `${lines.join('\n')}\naccess:\n  htpasswd: ${htpasswd}\n${out}`);
    const validated = await printed((output) => validateConfig({ flags: { config: path } }, output));
    assert.deepEqual([validated.code, validated.err], [0, ''], validated.out);
    assert.doesNotMatch(validated.out, /no effect|cannot log in/);
  });

  test('knows its own files: gc finds none of another program, and a reload goes on counting', async () => {
    const { out } = await printed((output) => gc({ flags: { cacheDir: mirror.dir } }, output));
    assert.doesNotMatch(out, /other programs|observations/);
    assert.ok((await stat(join(mirror.dir, 'observations.db'))).size > 0);
    assert.equal((await stat(join(mirror.dir, 'observations.db'))).mode & 0o777, 0o600);
    assert.equal((await mirror.reload()).outcome, 'unchanged');
    assert.equal(await get(manifest('base/c')), 200);
    assert.ok(grantsOf(await observedBy(mirror)).includes('anonymous pull plain/base/c'));
  });

  test('generalizes where it is asked to', async () => {
    const { out } = await suggested(mirror.dir, { generalize: true });
    assert.match(out, /- plain\/base\/\*\* # stands for 3 repositories/);
    assert.match(out, /#   bob pull plain\/ours\/other: 1 request/);
  });

  test('a duration that is none is refused', async () => {
    for (const since of ['30', 'x', '0', '-1d', '99999d']) {
      const { code, err } = await suggested(mirror.dir, { since });
      assert.equal(code, 2, since);
      assert.match(err, /--since .* cannot be looked back; expected a duration above 0 and of at most a hundred years/);
    }
  });

  test('a rule is for the user for whom a token acts, since one for the token has no effect', async () => {
    const dir = join(scratch, 'owned');
    const config = configOf({ rules: [{ who: 'carol', may: ['pull'], on: ['plain/ours/**'] }] });
    await using mirror = await startMirror(config, { dir });
    const socket = controlSocketPath(mirror.dir);
    await callControl(socket, OPERATIONS.userAdd, { input: { name: 'carol', password: 'correct horse' } });
    const { token } = await callControl(socket, OPERATIONS.tokenCreate, {
      input: { name: 'laptop', owner: 'carol', may: ['pull'], on: [], expiresAt: undefined },
    });
    assert.equal((await mirror.get(manifest('ours/app'), { authorization: `Bearer ${token}` })).status, 200);
    await mirror.logged(({ msg }) => msg === 'request');
    assert.deepEqual(grantsOf(await observedBy(mirror)), ['carol pull plain/ours/app']);
  });

  test('rows survive a restart, and can be read without a server', async () => {
    const dir = join(scratch, 'kept');
    const config = configOf(ACCESS());
    const first = await startMirror(config, { dir });
    assert.equal((await first.get(manifest('base/a'))).status, 200);
    await first.logged(({ msg }) => msg === 'request');
    await first.stop();
    const path = join(scratch, 'alone.json');
    await writeFile(path, JSON.stringify({ ...config, cache: { dir } }));
    const alone = await printed((output) => suggest({ flags: { config: path } }, output));
    assert.equal(alone.code, 0, alone.err);
    assert.match(alone.out, /- plain\/base\/a$/m);
    await using second = await startMirror(config, { dir });
    assert.equal((await second.get(manifest('base/a'))).status, 200);
    await second.logged(({ msg }) => msg === 'request');
    const { rules } = await observedBy(second);
    assert.deepEqual(
      rules.map(({ requests }) => requests),
      [2],
    );
  });

  test('a damaged file costs the rows, and neither a start nor a request', async () => {
    const dir = join(scratch, 'damaged');
    const first = await startMirror(configOf(ACCESS()), { dir });
    await first.stop();
    await writeFile(join(dir, 'observations.db'), 'no database'.repeat(1000));
    await using second = await startMirror(configOf(ACCESS()), { dir });
    assert.ok(second.log.some(({ level, msg }) => level === 'warn' && msg.startsWith('The observed requests in ')));
    assert.equal((await second.get(manifest('base/a'))).status, 200);
    await second.logged(({ msg }) => msg === 'request');
    assert.deepEqual(grantsOf(await observedBy(second)), ['anonymous pull plain/base/a']);
  });

  test('a file that cannot be opened neither', async () => {
    const dir = join(scratch, 'unopenable');
    const first = await startMirror(configOf(ACCESS()), { dir });
    await first.stop();
    await rm(join(dir, 'observations.db'));
    await mkdir(join(dir, 'observations.db'));
    await using second = await startMirror(configOf(ACCESS()), { dir });
    assert.ok(second.log.some(({ msg }) => msg.startsWith('Cannot open the observed requests')));
    assert.equal((await second.get(manifest('base/a'))).status, 200);
    await second.logged(({ msg }) => msg === 'request');
    assert.deepEqual(grantsOf(await observedBy(second)), ['anonymous pull plain/base/a']);
  });
});

describe('without rules', () => {
  test('nothing is observed, and the command says how to begin', async () => {
    await using mirror = await startMirror(configOf(undefined));
    assert.equal((await mirror.get(manifest('base/a'))).status, 200);
    const { code, err } = await suggested(mirror.dir);
    assert.equal(code, 1);
    assert.match(err, /^Nothing is observed: .*\nSet `access: \{audit: true\}`/);
    await assert.rejects(stat(join(mirror.dir, 'observations.db')), { code: 'ENOENT' });
    assert.equal((await mirror.reload(configOf(ACCESS()))).outcome, 'changed');
    const seen = mirror.log.filter(({ msg }) => msg === 'request').length;
    assert.equal((await mirror.get(manifest('base/a'))).status, 200);
    await mirror.logged(({ msg }) => msg === 'request', { count: seen + 1 });
    assert.deepEqual(grantsOf(await observedBy(mirror)), ['anonymous pull plain/base/a']);
  });

  test('with the cache off, requests are served and observed in memory', async () => {
    await using mirror = await startMirror({ ...configOf(ACCESS()), cache: 'off' });
    assert.equal((await mirror.get(manifest('base/a'))).status, 200);
    assert.equal((await mirror.get(manifest('ours/app'))).status, 401);
  });
});

describe('the forward proxy', () => {
  test('is observed too, for what it passes on and for what this server answers itself', async () => {
    await using mirror = await startMirror({
      registries: { 'ghcr.io': { upstreams: [upstream.url] } },
      forward_proxy: {
        enabled: true,
        allowed_hosts: ['127.0.0.1', 'ghcr.io'],
        ports: [80, Number(new URL(site.url).port)],
        allow_private: ['127.0.0.1'],
      },
      access: {
        htpasswd,
        rules: [
          { who: 'alice', may: ['proxy'] },
          { who: 'alice', may: ['pull'], on: ['ghcr.io/ours/**'] },
        ],
      },
    });
    const through = async (url: string, name: string): Promise<number> => {
      const seen = mirror.log.filter(({ msg }) => msg === 'request').length;
      const headers = { host: new URL(url).host, 'proxy-authorization': basic(name)['authorization'] ?? '' };
      const { status } = await rawRequest(mirror.host, { path: url, headers });
      await mirror.logged(({ msg }) => msg === 'request', { count: seen + 1 });
      return status;
    };
    assert.equal(await through(`${site.url}/page`, 'alice'), 200);
    assert.equal(await through(`http://ghcr.io${manifest('ours/app')}`, 'alice'), 200);
    assert.equal(await through(`http://ghcr.io${manifest('base/a')}`, 'alice'), 403);
    assert.equal(await through(`${site.url}/page`, 'bob'), 403);
    const observed = await observedBy(mirror);
    assert.deepEqual(grantsOf(observed), ['alice proxy', 'alice pull ghcr.io/ours/app']);
    assert.deepEqual(
      observed.refused.map(({ principal, action, target }) => `${principal} ${action} ${target}`.trim()),
      ['alice pull ghcr.io/base/a', 'bob proxy'],
    );
  });
});

describe('audit mode', () => {
  const CREDENTIALS = { username: 'server', password: 'canary-password' };
  let hub: ScriptedUpstream;
  let mirror: Mirror;
  let requests = 0;
  const auditedConfig = (over: Record<string, unknown> = {}): Record<string, unknown> => ({
    default_registry: 'hub',
    registries: {
      hub: { upstreams: [{ url: hub.url, credentials: CREDENTIALS, token_realms: [new URL(hub.realm).host] }] },
    },
    mirrors: [
      { name: 'site', prefix: '/site', upstream: site.url },
      { name: 'paid', prefix: '/paid', upstream: site.url, headers: { 'x-api-key': 'canary-key' } },
    ],
    access: {
      htpasswd,
      audit: true,
      rules: [{ who: 'alice', may: ['pull'], on: ['hub/acme/closed'] }],
      ...over,
    },
  });
  before(async () => {
    hub = await startScriptedUpstream({
      personality: { ...PERSONALITIES.dockerHub, catalog: true },
      credentials: CREDENTIALS,
      anonymous: true,
    });
    for (const name of ['acme/open', 'acme/closed']) hub.add(image, name, ['latest']);
    hub.setVisibility('acme/closed', 'refused');
    mirror = await startMirror(auditedConfig());
  });
  after(async () => {
    await mirror.stop();
    assert.deepEqual(hub.leaks(), []);
    await hub.stop();
  });
  async function get(path: string, headers: Record<string, string> = {}): Promise<number> {
    const { status } = await mirror.get(path, headers);
    requests += 1;
    await mirror.logged(({ msg }) => msg === 'request', { count: requests });
    return status;
  }
  const OPEN = manifest('acme/open');
  const CLOSED = manifest('acme/closed');
  const wouldDeny = () => mirror.log.filter(({ msg }) => msg === 'access.would_deny');

  test('is in the warnings of the start and of the status', async () => {
    const about = /access\.audit: pulls of public content that no rule allows are let through/;
    assert.ok(mirror.log.some(({ level, msg }) => level === 'warn' && about.test(msg)));
    const { warnings = [] } = await mirror.app.status();
    assert.equal(warnings.filter((text) => about.test(text)).length, 1);
  });

  test('lets pulls of public content through, of every client, and says so once', async () => {
    for (let at = 0; at < 30; at += 1) assert.equal(await get(OPEN), 200);
    assert.equal(await get(OPEN, basic('bob')), 200);
    assert.equal(await get('/v2/acme/open/tags/list'), 200);
    assert.equal(await get('/site/dist/v1/file.tgz'), 200);
    const seen = wouldDeny().map(({ level, principal, action, registry, repository, client }) =>
      [level, principal, action, registry, repository, client].join(' '),
    );
    assert.deepEqual(seen, [
      'warn anonymous pull hub acme/open 127.0.0.1',
      'warn bob pull hub acme/open 127.0.0.1',
      'warn anonymous pull mirror:site dist/v1/file.tgz 127.0.0.1',
    ]);
    assert.equal(wouldDeny()[1]?.['unlogged'], 29);
    const id = wouldDeny()[0]?.['id'];
    assert.ok(mirror.log.some((line) => line.msg === 'request' && line['id'] === id));
  });

  test('refuses private content, as without it, in the cache and out of it', async () => {
    const before = wouldDeny().length;
    assert.equal(await get(CLOSED), 401);
    assert.equal(await get(CLOSED, basic('alice')), 200);
    assert.equal(await get(CLOSED), 401);
    assert.equal(await get(CLOSED, basic('bob')), 403);
    assert.equal(await get('/paid/file', basic('bob')), 403);
    assert.equal(await get(manifest('acme/absent'), basic('bob')), 403);
    assert.equal(wouldDeny().length, before);
  });

  test('refuses everything that is no pull', async () => {
    assert.equal(await get('/v2/_catalog', basic('bob')), 403);
    assert.equal(await get('/metrics', basic('bob')), 403);
    assert.equal(await get('/v2/'), 401);
  });

  test('refuses wrong credentials', async () => {
    const scope = 'repository:acme/open:pull';
    const paths = [OPEN, CLOSED, '/v2/', '/token', `/token?scope=${scope}`, '/site/x'];
    for (const [at, path] of paths.entries()) {
      // Five guesses for a name, and it is slowed down.
      assert.equal(await get(path, basic(at % 2 === 0 ? 'alice' : 'bob', 'wrong')), 401, path);
    }
    assert.equal(await get(OPEN, { authorization: 'Bearer forged' }), 401);
    assert.equal(await get(`/token?scope=${scope}`), 200);
  });

  test('has suggestions with which the same requests pass without it', async () => {
    assert.deepEqual(grantsOf(await observedBy(mirror)), [
      'alice pull hub/acme/closed',
      'anonymous pull hub/acme/open',
      'anonymous pull mirror:site/dist/v1/**',
    ]);
    const { out } = await suggested(mirror.dir);
    assert.match(out, /# 32 requests of 2 repositories, .*; all would have been refused without audit mode$/m);
    assert.match(out, /#   bob pull hub\/acme\/closed: 1 request/);
    const { config } = await loadConfig({ env: { ENTREPOT_CONFIG: `access:\n${out}` } });
    const rules = config.access?.rules ?? [];
    await mirror.reload(auditedConfig({ audit: false, rules: [] }));
    assert.equal(await get(OPEN), 401);
    await mirror.reload(auditedConfig({ audit: false, rules }));
    assert.equal(await get(OPEN), 200);
    assert.equal(await get(OPEN, basic('bob')), 200);
    assert.equal(await get('/site/dist/v1/file.tgz'), 200);
    assert.equal(await get(CLOSED, basic('alice')), 200);
    assert.equal(await get(CLOSED), 401);
    assert.equal(await get('/site/other/v1/file.tgz'), 401);
  });

  test('keeps `private: true` for what every client pulls of private repositories', async () => {
    const rules = [{ who: 'anonymous', may: ['pull'], on: ['hub/**', 'mirror:paid/**'], private: true }];
    await mirror.reload(auditedConfig({ audit: false, rules }));
    assert.equal(await get(CLOSED), 200);
    assert.equal(await get('/paid/a/b'), 200);
    const { rules: found } = await observedBy(mirror);
    assert.deepEqual(
      found.map(({ who, on, private: isPrivate }) => [...who, on.map(({ pattern }) => pattern), isPrivate]),
      [
        ['anonymous', ['hub/acme/open', 'mirror:site/dist/v1/**'], undefined],
        ['anonymous', ['hub/acme/closed', 'mirror:paid/a/b'], true],
        ['alice', ['hub/acme/closed'], undefined],
      ],
    );
    const { out } = await suggested(mirror.dir);
    assert.match(out, /may: \[pull\]\n {6}private: true\n {6}on:\n {8}- hub\/acme\/closed/);
  });
});
