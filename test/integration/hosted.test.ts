import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { ask, beginSession, operate } from '../support/api-stage.ts';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { pushBlob, pushImage, pushManifest, refusalOf, send } from '../support/push.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// What is pushed to this server: configured, allowed, kept over restarts and reloads, and never asked of an upstream.

const image = buildImage({ seed: 'hosted' });
const other = buildImage({ seed: 'upstream' });
const layer = platformOf(image, 'amd64').layers[0] as Content;
const alice = basic('alice');
const bob = basic('bob');

let scratch: string;
let upstream: ScriptedUpstream;

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'entrepot-hosted-'));
  await writeFile(join(scratch, 'htpasswd'), htpasswdOf('alice', 'bob', 'carol'));
  upstream = await startScriptedUpstream();
  for (const name of ['acme/app', 'team/app']) upstream.add(other, name, ['latest']);
});
after(async () => {
  await upstream.stop();
  await rm(scratch, { recursive: true, force: true });
});

const RULES = [
  { who: 'alice', may: ['pull', 'push', 'delete', 'catalog'], on: ['apps/**', 'plain/acme/**', 'plain/team/**'] },
  { who: 'bob', may: ['pull'], on: ['apps/**'] },
  { who: 'carol', may: ['status'] },
  { who: 'anonymous', may: ['pull', 'catalog'], on: ['**'] },
];

/** More than their scopes. */
const CI = { who: ['token:pulls', 'token:pushes'], may: ['pull', 'push', 'delete'], on: ['apps/**'] };

const withoutApps = RULES.map((rule) => ({ ...rule, on: rule.on?.filter((each) => !each.startsWith('apps')) }));

const access = (more: Readonly<Record<string, unknown>> = {}) => ({
  htpasswd: join(scratch, 'htpasswd'),
  rules: RULES,
  ...more,
});

/** `apps` is at home here, and `acme/**` of a registry with an upstream. */
const configOf = (more: Readonly<Record<string, unknown>> = {}) => ({
  default_registry: 'plain',
  registries: { apps: { hosted: true }, plain: { upstreams: [upstream.url], hosted: ['acme/**'] } },
  access: access(),
  ...more,
});

async function start(t: TestContext, config: Readonly<Record<string, unknown>> = configOf(), dir?: string) {
  const mirror = await startMirror(config, { ...(dir !== undefined && { dir }) });
  t.after(() => mirror.stop());
  return mirror;
}

const at = (mirror: Mirror, repository: string, headers: Record<string, string> = alice) => ({
  host: mirror.host,
  repository,
  headers,
});
const manifest = (repository: string, reference = 'latest') => `/v2/${repository}/manifests/${reference}`;

describe('an image that was pushed', () => {
  test('is pulled by tag and by digest, listed, and there after a restart', async (t) => {
    const dir = await mkdtemp(join(scratch, 'cache-'));
    const first = await start(t, configOf(), dir);
    await pushImage(at(first, 'apps/web'), image, 'v1');
    const look = async (mirror: Mirror): Promise<void> => {
      const byTag = await mirror.get(manifest('apps/web', 'v1'), alice);
      assert.equal(byTag.status, 200);
      assert.deepEqual(byTag.body, image.index.bytes);
      assert.equal(byTag.headers['docker-content-digest'], image.index.digest);
      for (const { digest, bytes } of image.manifests) {
        assert.deepEqual((await mirror.get(manifest('apps/web', digest), alice)).body, bytes);
      }
      for (const { digest, bytes } of image.blobs) {
        assert.deepEqual((await mirror.get(`/v2/apps/web/blobs/${digest}`, alice)).body, bytes);
      }
      const { body } = await mirror.get('/v2/apps/web/tags/list', alice);
      assert.deepEqual((JSON.parse(body.toString()) as { tags: string[] }).tags, ['v1']);
    };
    await look(first);
    await first.stop();
    await look(await start(t, configOf(), dir));
  });

  test('shadows the upstream, which is never asked for its repositories', async (t) => {
    const mirror = await start(t);
    const asked = () => upstream.count({ repository: 'acme/app' });
    const before = asked();
    assert.equal(refusalOf(await mirror.get(manifest('acme/app'), alice)).code, 'MANIFEST_UNKNOWN');
    await pushImage(at(mirror, 'acme/app'), image);
    assert.deepEqual((await mirror.get(manifest('acme/app'), alice)).body, image.index.bytes);
    assert.equal(asked(), before);
    assert.deepEqual((await mirror.get(manifest('team/app'), alice)).body, other.index.bytes);
  });

  test('hides what was mirrored before, which is not refreshed from the upstream, and can be purged', async (t) => {
    const { registries, ...more } = configOf();
    const plain = { upstreams: [upstream.url] };
    const mirror = await start(t, { ...more, registries: { ...registries, plain } });
    assert.deepEqual((await mirror.get(manifest('acme/app'), alice)).body, other.index.bytes);
    await mirror.reload(configOf());
    await pushImage(at(mirror, 'acme/app'), image);
    const asked = () => upstream.count({ repository: 'acme/app' });
    const before = asked();
    const socket = controlSocketPath(mirror.dir);
    for (const pattern of ['acme/app:latest', 'plain/acme/**', 'plain/**']) {
      const { tags } = await callControl(socket, OPERATIONS.refresh, { input: { patterns: [pattern] } });
      const found = tags.find(({ image: name }) => name === 'plain/acme/app:latest');
      assert.deepEqual([found?.outcome, /hosted here/.test(found?.error ?? '')], ['failed', true], pattern);
    }
    assert.equal(asked(), before);
    const purge = (pattern: string) =>
      callControl(socket, OPERATIONS.purge, { input: { patterns: [pattern], dryRun: false } });
    await assert.rejects(purge('acme/app'), /plain\/acme\/app is hosted here/);
    const purged = await purge('plain/**');
    assert.deepEqual([purged.hosted?.names, purged.tagCount], [['plain/acme/app'], 1]);
    assert.deepEqual((await mirror.get(manifest('acme/app'), alice)).body, image.index.bytes);
  });

  test('is not evicted, whatever the cache may hold', async (t) => {
    const mirror = await start(t, configOf({ cache: { max_size: '1B' } }));
    await pushImage(at(mirror, 'apps/web'), image);
    assert.equal((await mirror.get(manifest('team/app'), alice)).status, 200);
    assert.deepEqual((await mirror.get(`/v2/apps/web/blobs/${layer.digest}`, alice)).body, layer.bytes);
  });
});

test('a push is refused where min_free would not stay free, and pulls go on', async (t) => {
  const mirror = await start(t);
  await pushImage(at(mirror, 'apps/web'), image);
  const full = configOf({ cache: { min_free: '99.9%' } });
  assert.deepEqual((await mirror.reload(full)).changed, ['cache.min_free']);
  const { status, code, message } = refusalOf(await pushBlob(at(mirror, 'apps/new'), layer));
  assert.deepEqual([status, code], [503, 'UNAVAILABLE']);
  assert.match(message, /full/);
  assert.deepEqual((await mirror.get(manifest('apps/web'), alice)).body, image.index.bytes);
  await mirror.reload(configOf());
  assert.equal((await pushBlob(at(mirror, 'apps/new'), layer)).status, 201);
});

describe('only who may', () => {
  let mirror: Mirror;
  before(async () => {
    mirror = await startMirror(configOf());
    await pushImage(at(mirror, 'apps/web'), image);
  });
  after(() => mirror.stop());

  /** Every request that changes something. */
  const changes = (headers: Record<string, string>, repository = 'apps/web') => ({
    upload: pushBlob(at(mirror, repository, headers), layer),
    mount: send(mirror.host, 'POST', `/v2/${repository}/blobs/uploads/?mount=${layer.digest}&from=apps/web`, {
      headers,
    }),
    manifest: pushManifest(at(mirror, repository, headers), image.index, 'latest'),
    'manifest by digest': pushManifest(
      at(mirror, repository, headers),
      image.index,
      `${image.index.digest}?tag=latest`,
    ),
    'delete a tag': send(mirror.host, 'DELETE', manifest(repository), { headers }),
    'delete a manifest': send(mirror.host, 'DELETE', manifest(repository, image.index.digest), { headers }),
    'delete a blob': send(mirror.host, 'DELETE', `/v2/${repository}/blobs/${layer.digest}`, { headers }),
    'look at an upload': send(mirror.host, 'GET', `/v2/${repository}/blobs/uploads/x`, { headers }),
    'end an upload': send(mirror.host, 'DELETE', `/v2/${repository}/blobs/uploads/x`, { headers }),
  });

  test('a client without a login is asked for one that may push', async () => {
    for (const [what, asked] of Object.entries(changes({}))) {
      const answer = await asked;
      assert.deepEqual([what, answer.status, refusalOf(answer).code], [what, 401, 'UNAUTHORIZED']);
      const scope = /scope="repository:apps\/web:([a-z,]+)"/.exec(answer.headers['www-authenticate'] ?? '')?.[1];
      assert.match(scope ?? '', /^(?:pull,push|push|delete)$/, what);
    }
  });

  test('a user who may only pull changes nothing', async () => {
    for (const [what, asked] of Object.entries(changes(bob))) {
      const { status, code, message } = refusalOf(await asked);
      assert.deepEqual([what, status, code], [what, 403, 'DENIED']);
      assert.match(message, /^bob may not (?:push to|delete from) apps\/web$/, what);
    }
    assert.deepEqual((await mirror.get(manifest('apps/web'), bob)).body, image.index.bytes);
  });

  test('what is pushed is private: a rule for every client does not show it', async () => {
    for (const path of [manifest('apps/web'), `/v2/apps/web/blobs/${layer.digest}`, '/v2/apps/web/tags/list']) {
      assert.equal((await mirror.get(path)).status, 401, path);
    }
    const { body } = await mirror.get('/v2/_catalog?ns=apps', basic('carol'));
    assert.doesNotMatch(body.toString(), /web/);
  });

  test('a mirrored repository takes no push, and the answer says so', async () => {
    const { status, code, message } = refusalOf(await pushBlob(at(mirror, 'team/app'), layer));
    assert.deepEqual([status, code], [405, 'UNSUPPORTED']);
    assert.match(message, /^plain\/team\/app is mirrored: .* sets hosted or push under registries\.plain$/);
    assert.equal((await send(mirror.host, 'DELETE', manifest('team/app'), { headers: alice })).status, 405);
  });

  test('a token is narrowed to what it may: one for pulls pushes nothing', async (t) => {
    const own = await start(t, configOf({ access: access({ rules: [...RULES, CI] }) }));
    const socket = controlSocketPath(own.dir);
    const create = async (name: string, may: readonly ('pull' | 'push' | 'delete')[]) => {
      const { token } = await callControl(socket, OPERATIONS.tokenCreate, { input: { name, may, on: ['apps/ci/**'] } });
      return basic('any', token);
    };
    const pulls = await create('pulls', ['pull']);
    const pushes = await create('pushes', ['pull', 'push']);
    assert.equal((await pushBlob(at(own, 'apps/ci/web', pulls), layer)).status, 403);
    await pushImage(at(own, 'apps/ci/web', pushes), image);
    assert.equal((await own.get(manifest('apps/ci/web'), pulls)).status, 200);
    assert.equal((await send(own.host, 'DELETE', manifest('apps/ci/web'), { headers: pushes })).status, 403);
    assert.equal((await pushBlob(at(own, 'apps/web', pushes), layer)).status, 403);
  });

  test('audit mode lets no push, no deletion and no pull of what was pushed through', async (t) => {
    const audited = await start(t, configOf({ access: access({ audit: true }) }));
    await pushImage(at(audited, 'apps/web'), image);
    const carol = basic('carol');
    assert.equal((await pushBlob(at(audited, 'apps/web', carol), layer)).status, 403);
    assert.equal((await send(audited.host, 'DELETE', manifest('apps/web'), { headers: carol })).status, 403);
    assert.equal((await audited.get(manifest('apps/web'), carol)).status, 403);
  });
});

describe('without access:', () => {
  test('every push is refused with the remedy, and this machine pulls what was pushed', async (t) => {
    const mirror = await start(t);
    await pushImage(at(mirror, 'apps/web'), image);
    const { access: _, ...open } = configOf();
    assert.equal((await mirror.reload(open)).outcome, 'changed');
    const refused = [
      await pushBlob(at(mirror, 'apps/web', {}), layer),
      await pushBlob(at(mirror, 'apps/web', alice), layer),
      await send(mirror.host, 'DELETE', manifest('apps/web')),
    ];
    for (const answer of refused) {
      const { status, code, message } = refusalOf(answer);
      assert.deepEqual([status, code], [403, 'DENIED']);
      assert.match(message, /only a user may (?:push|delete), .* sets access .* entrepot users add NAME/);
    }
    assert.deepEqual((await mirror.get(manifest('apps/web'))).body, image.index.bytes);
    assert.ok((await mirror.app.status()).warnings?.some((each) => each.includes('every push is refused')));
  });
});

describe('a blob is mounted', () => {
  test('from another repository that the client may pull, hosted or mirrored, without its bytes', async (t) => {
    const mirror = await start(t);
    await pushImage(at(mirror, 'apps/web'), image);
    assert.equal((await mirror.get(manifest('team/app'), alice)).status, 200);
    const base = platformOf(other, 'amd64');
    await mirror.get(manifest('team/app', base.manifest.digest), alice);
    const [first] = base.layers;
    assert.ok(first !== undefined);
    await mirror.get(`/v2/team/app/blobs/${first.digest}`, alice);
    await mirror.logged((line) => line.msg === 'ingest.finished' && line['digest'] === first.digest);
    const mount = (digest: string, from: string) =>
      send(mirror.host, 'POST', `/v2/apps/new/blobs/uploads/?mount=${digest}&from=${from}`, { headers: alice });
    assert.equal((await mount(layer.digest, 'apps/web')).status, 201);
    assert.equal((await mount(first.digest, 'team/app')).status, 201);
    for (const { digest, bytes } of [layer, first]) {
      assert.deepEqual((await mirror.get(`/v2/apps/new/blobs/${digest}`, alice)).body, bytes);
    }
  });
});

describe('a reload', () => {
  const plain = () => ({
    default_registry: 'plain',
    registries: { plain: { upstreams: [upstream.url] } },
    access: access({ rules: withoutApps.filter(({ on }) => on?.length !== 0) }),
  });

  test('begins to host, and hides what was mirrored under the names', async (t) => {
    const mirror = await start(t, plain());
    assert.deepEqual((await mirror.get(manifest('acme/app'), alice)).body, other.index.bytes);
    assert.equal(existsSync(join(mirror.dir, 'hosted')), false, 'nothing is made where nothing is hosted');
    assert.equal(refusalOf(await pushBlob(at(mirror, 'acme/app'), layer)).status, 405);
    const { outcome, registries, restart } = await mirror.reload(configOf());
    assert.deepEqual([outcome, registries.added, registries.changed, restart], ['changed', ['apps'], ['plain'], []]);
    assert.equal((await mirror.get(manifest('acme/app'), alice)).status, 404);
    await pushImage(at(mirror, 'acme/app'), image);
    assert.deepEqual((await mirror.get(manifest('acme/app'), alice)).body, image.index.bytes);
  });

  test('that hosts nothing any more keeps what was pushed, says so, and serves it again later', async (t) => {
    const dir = await mkdtemp(join(scratch, 'cache-'));
    const first = await start(t, configOf(), dir);
    await pushImage(at(first, 'acme/app'), image);
    await first.reload(plain());
    assert.deepEqual((await first.get(manifest('acme/app'), alice)).body, other.index.bytes);
    await first.logged(({ msg }) => msg.includes('plain/acme/app, which are not hosted any more'));
    await first.stop();
    const second = await start(t, plain(), dir);
    const kept = (text: string): boolean => text.includes('holds images that were pushed, and nothing is hosted');
    assert.ok(second.log.some(({ msg }) => kept(msg)));
    assert.ok((await second.app.status()).warnings?.some(kept));
    await second.reload(configOf());
    assert.deepEqual((await second.get(manifest('acme/app'), alice)).body, image.index.bytes);
    assert.ok(!(await second.app.status()).warnings?.some(kept));
  });

  test('takes up quotas and immutable tags', async (t) => {
    const mirror = await start(t);
    await pushImage(at(mirror, 'apps/web'), image, 'v1');
    const hosts = { hosted: true, immutable_tags: ['v*'], quota: '1KB' };
    await mirror.reload(configOf({ registries: { ...configOf().registries, apps: hosts } }));
    assert.equal((await send(mirror.host, 'DELETE', manifest('apps/web', 'v1'), { headers: alice })).status, 405);
    const arm = platformOf(image, 'arm64').manifest;
    assert.equal(refusalOf(await pushManifest(at(mirror, 'apps/web'), arm, 'v1')).code, 'DENIED');
    assert.equal((await pushManifest(at(mirror, 'apps/web'), image.index, 'v1')).status, 201);
    assert.equal(refusalOf(await pushBlob(at(mirror, 'apps/full'), layer)).code, 'DENIED');
  });

  test('that names a cache where none runs is refused', async (t) => {
    const mirror = await start(t, { ...plain(), cache: 'off' });
    const { outcome, problems } = await mirror.reload(configOf());
    assert.equal(outcome, 'refused');
    assert.match(problems.join(), /hosted images need the cache, which is off\. Restart/);
  });
});

test('access suggest writes the rule that observed pushes needed, and none for a push that was refused', async (t) => {
  const mirror = await start(t);
  await pushImage(at(mirror, 'apps/web'), image);
  await pushBlob(at(mirror, 'apps/web', bob), layer);
  await mirror.get(manifest('apps/web'), alice);
  await mirror.logged((line) => line.msg === 'request' && line['method'] === 'GET');
  const { observed } = await callControl(controlSocketPath(mirror.dir), OPERATIONS.suggest, {
    input: { within: 60_000, generalize: false },
  });
  const rules = observed?.rules.map(({ who, may, on }) => ({ who, may, on: on.map(({ pattern }) => pattern) }));
  assert.deepEqual(rules, [{ who: ['alice'], may: ['pull', 'push'], on: ['apps/web'] }]);
  assert.deepEqual(
    observed?.refused.map(({ principal, action, target }) => [principal, action, target]),
    [['bob', 'push', 'apps/web']],
  );
});

describe('the tags of a hosted repository', () => {
  test('have a history, and are rolled back to what they pointed to', async (t) => {
    const mirror = await start(t);
    const socket = controlSocketPath(mirror.dir);
    await pushImage(at(mirror, 'apps/web'), image, '1');
    await pushImage(at(mirror, 'apps/web'), other, '1');
    const history = () => callControl(socket, OPERATIONS.history, { input: { image: 'apps/web:1' } });
    const rollback = (digest: string) =>
      callControl(socket, OPERATIONS.rollback, { input: { image: `apps/web:1@${digest}`, reason: '' } });
    const shown = async () =>
      (await history()).tags.map(({ moves }) => moves.map(({ digest, by, current }) => [digest, by, current]));
    assert.deepEqual(await shown(), [
      [
        [other.index.digest, 'alice', true],
        [image.index.digest, 'alice', false],
      ],
    ]);
    const { moved, held } = await rollback(image.index.digest);
    assert.deepEqual(moved, { image: 'apps/web:1', digest: image.index.digest, from: other.index.digest });
    assert.equal(held, undefined);
    assert.deepEqual((await mirror.get(manifest('apps/web', '1'), alice)).body, image.index.bytes);
    assert.deepEqual((await shown())[0]?.[0], [image.index.digest, 'operator', true]);
    await assert.rejects(rollback(image.index.digest), /points to this digest already/);
    await assert.rejects(rollback(layer.digest), /never pointed to this digest/);
    await send(mirror.host, 'DELETE', manifest('apps/web', '1'), { headers: alice });
    assert.deepEqual((await shown())[0]?.[0], ['', 'alice', false]);
    assert.equal((await rollback(other.index.digest)).moved?.from, undefined);
    assert.equal((await mirror.get(manifest('apps/web', '1'), alice)).status, 200);
  });

  test('name in their history who rolled them back by the API', async (t) => {
    const rules = [...RULES, { who: 'alice', may: ['status', 'admin'] }];
    const mirror = await start(t, configOf({ access: access({ rules }) }));
    await pushImage(at(mirror, 'apps/web'), image, '1');
    await pushImage(at(mirror, 'apps/web'), other, '1');
    const { changing } = await beginSession(mirror, { user: 'alice', password: 'alice-pw' });
    const body = { image: `apps/web:1@${image.index.digest}` };
    assert.equal((await ask(mirror, 'POST', '/api/v1/rollback', { headers: changing, body })).status, 200);
    const { tags } = await operate(mirror, OPERATIONS.history, { image: 'apps/web:1' });
    assert.deepEqual(tags[0]?.moves.map(({ digest, by }) => [digest, by])[0], [image.index.digest, 'alice']);
  });
});

test('the status and the metrics say what is hosted, and nothing where nothing is', async (t) => {
  const mirror = await start(t);
  const empty = await mirror.app.status();
  assert.deepEqual(empty.hosted, { repositories: 0, digests: 0, bytes: 0, uploads: 0, uploadBytes: 0 });
  await pushImage(at(mirror, 'apps/web'), image);
  await send(mirror.host, 'POST', '/v2/apps/web/blobs/uploads/', { headers: alice });
  const { hosted } = await mirror.app.status();
  const all = new Map([...image.blobs, ...image.manifests].map(({ digest, size }) => [digest, size]));
  const bytes = [...all.values()].reduce((sum, size) => sum + size, 0);
  assert.deepEqual(hosted, { repositories: 1, digests: all.size, bytes, uploads: 1, uploadBytes: 0 });
  const metrics = (await mirror.get('/metrics', basic('carol'))).body.toString();
  for (const line of ['entrepot_hosted_repositories 1', `entrepot_hosted_bytes ${bytes}`, 'entrepot_uploads_open 1']) {
    assert.ok(metrics.includes(`\n${line}\n`), line);
  }
  const none = await start(t, { access: access({ rules: RULES.filter(({ may }) => may.includes('status')) }) });
  assert.equal((await none.app.status()).hosted, undefined);
  assert.doesNotMatch((await none.get('/metrics', basic('carol'))).body.toString(), /\nentrepot_hosted_bytes/);
});
