import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import bcrypt from 'bcryptjs';
import {
  callControl,
  controlSocketPath,
  type ExplainInput,
  type ImageExplanation,
  OPERATIONS,
} from '../../src/admin/index.ts';
import { buildImage, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// How an image would be pulled, and why a pull went as it did: `explain` of a running server.

const IMAGE = buildImage({ seed: 'explain images', layers: [30_000] });
const MOVED = buildImage({ seed: 'explain images, moved', layers: [20_000] });
const { layers, config } = platformOf(IMAGE, 'amd64');

let upstream: ScriptedUpstream;
let mirror: Mirror;

before(async () => {
  upstream = await startScriptedUpstream();
  upstream.add(IMAGE, 'team/app', ['latest', 'kept']);
  mirror = await startMirror({
    default_registry: 'up',
    registries: { up: { upstreams: [{ url: upstream.url, name: 'hub' }] }, apps: { hosted: true } },
    cache: { tags: { fresh_for: '10m' }, pin: ['up/team/app:kept'] },
  });
});
after(async () => {
  await mirror?.stop();
  await upstream?.stop();
});

const explain = (input: ExplainInput) => callControl(controlSocketPath(mirror.dir), OPERATIONS.explain, { input });
const imageOf = async (of: string) => {
  const { image } = await explain({ of });
  assert.ok(image !== undefined);
  return image;
};

describe('an image', () => {
  test('that was never pulled is missing, and the next pull fetches it', async () => {
    const { image, registry, repository, reference, home, namedBy, cache, upstreams, pulls } =
      await imageOf('team/app');
    assert.deepEqual([image, registry, repository, reference], ['up/team/app:latest', 'up', 'team/app', 'latest']);
    assert.deepEqual([home, namedBy, cache.state, cache.pinned], ['mirrored', 'default', 'missing', false]);
    assert.deepEqual(cache.plan, { kind: 'fetch', upstream: 'hub' });
    assert.equal(cache.next, 'The next pull asks hub for the image, and stores what it gets.');
    assert.deepEqual(
      upstreams.map(({ name, url }) => [name, url]),
      [['hub', upstream.url]],
    );
    assert.deepEqual(pulls, []);
  });

  test('that is stored in part says what is asked of whom, and who pulled it', async () => {
    const { headers } = await mirror.get('/v2/up/team/app/manifests/latest', { 'user-agent': 'explain-test' });
    const { namedBy, cache, pulls } = await imageOf('up/team/app:latest');
    assert.deepEqual([namedBy, cache.state, cache.digest], ['path', 'partial', headers['docker-content-digest']]);
    assert.equal(cache.plan.kind, 'fresh');
    assert.match(
      cache.next,
      /^The next pull asks no upstream where the tag points, which is fresh until .*; what is stored/,
    );
    assert.ok((cache.freshUntil ?? 0) > Date.now());
    assert.deepEqual(
      pulls.map(({ userAgent, reference }) => [userAgent, reference]),
      [['explain-test', 'latest']],
    );
  });

  test('may have the host of this server in front, as clients are given it', async () => {
    const { port } = new URL(mirror.url);
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, 'localhost:8080']) {
      const { image, namedBy } = await imageOf(`${host}/up/team/app:latest`);
      assert.deepEqual([image, namedBy], ['up/team/app:latest', 'path']);
    }
  });

  test('whose every byte is here says so', async () => {
    const { digest } = platformOf(IMAGE, 'amd64').manifest;
    assert.equal((await mirror.get(`/v2/up/team/app/manifests/${digest}`)).status, 200);
    for (const part of [config, ...layers]) await mirror.get(`/v2/up/team/app/blobs/${part.digest}`);
    const committed = ({ msg, outcome }: { msg: string; outcome?: unknown }): boolean =>
      msg === 'ingest.finished' && outcome === 'committed';
    await mirror.logged(committed, { count: 1 + layers.length });
    const { cache, reference } = await imageOf(`team/app@${digest}`);
    assert.deepEqual([reference, cache.state, cache.plan.kind], [digest, 'stored', 'by-digest']);
    assert.equal(cache.next, 'The next pull asks no upstream for the manifest; every byte comes from this server.');
  });

  test('that is held is the digest of the hold', async () => {
    const socket = controlSocketPath(mirror.dir);
    const before = (await imageOf('team/app')).cache.digest;
    upstream.add(MOVED, 'team/app', ['latest']);
    await callControl(socket, OPERATIONS.refresh, { input: { patterns: ['team/app:latest'] } });
    const input = { image: `team/app:latest@${before}`, reason: 'the new one is broken' };
    await callControl(socket, OPERATIONS.rollback, { input });
    const { cache } = await imageOf('team/app');
    assert.deepEqual([cache.plan.kind, cache.held, cache.digest], ['held', 'the new one is broken', before]);
    await callControl(socket, OPERATIONS.unhold, { input: { image: 'team/app' } });
    assert.notEqual((await imageOf('team/app')).cache.digest, before);
  });

  test('that the configuration pins is pinned', async () => {
    await mirror.get('/v2/up/team/app/manifests/kept');
    assert.equal((await imageOf('team/app:kept')).cache.pinned, true);
  });

  test('that is hosted and was not pushed says so, and names no upstream', async () => {
    const { home, cache, upstreams } = await imageOf('apps/web:v1');
    assert.deepEqual([home, cache.state, cache.plan, upstreams], ['hosted', 'missing', { kind: 'not-pushed' }, []]);
  });

  for (const [of, says] of [
    ['nowhere.example/a/b', /unknown registry "nowhere\.example"/],
    ['UPPER/Case', /names no image: names of repositories are in lower case/],
    ['up/team/*', /is more than one image; name one/],
    ['up', /is more than one image; name one/],
    [`sha256:${'a'.repeat(64)}`, /is a digest alone; name the image too/],
    ['', /names no image/],
  ] as const) {
    test(`is not explained for ${JSON.stringify(of)}`, async () => {
      await assert.rejects(explain({ of }), says);
    });
  }
});

describe('a request', () => {
  test('is found by its id, whatever stands around it', async () => {
    const { headers } = await mirror.get('/v2/up/team/app/manifests/latest');
    const id = String(headers['x-request-id']);
    for (const text of [id, ` ${id} `, `"${id}"`]) {
      const { pull, image } = await explain({ of: text });
      assert.equal(image, undefined);
      assert.ok(pull?.requestList.some((each) => each.id === id));
    }
  });

  test('that is not known is no image either', async () => {
    await assert.rejects(explain({ of: 'zzzz-zz' }), /no pull is known that has the request id zzzz-zz/);
  });
});

describe('with rules', () => {
  test('an explanation has the verdict, the rule and its place', async () => {
    const rules = [{ who: 'alice', may: ['pull'], on: ['up/team/**'] }];
    await using own = await startMirror({
      default_registry: 'up',
      registries: { up: { upstreams: [upstream.url] } },
      access: { rules },
    });
    const ask = (who?: string) =>
      callControl(controlSocketPath(own.dir), OPERATIONS.explain, {
        input: { of: 'team/app', ...(who !== undefined && { who }) },
      });
    const { access } = (await ask('alice')).image ?? {};
    assert.deepEqual([access?.verdict, access?.rule], ['allowed', 'access.rules[0]']);
    assert.match(access?.place ?? '', /^ENTREPOT_CONFIG:1:\d+$/);
    assert.equal((await ask()).image?.access?.verdict, 'refused');
  });

  test('says of a repository that its reader may not pull from what it says of one that is not there', async (t) => {
    const workspace = await Workspace.open();
    t.after(() => workspace.close());
    const htpasswd = await workspace.file('htpasswd', `bob:${bcrypt.hashSync('correct horse', 4)}\n`);
    const rules = [
      { who: 'anonymous', may: ['pull'], on: ['up/team/**'] },
      { who: 'bob', may: ['status'] },
    ];
    const settings = { default_registry: 'up', registries: { up: { upstreams: [upstream.url] } } };
    await using own = await startMirror({ ...settings, access: { htpasswd, rules } });
    assert.equal((await own.get('/v2/team/app/manifests/kept')).status, 200);
    const authorization = `Basic ${Buffer.from('bob:correct horse').toString('base64')}`;
    const ask = async (of: string) => {
      const { status, body } = await own.get(`/api/v1/explain?of=${of}`, { authorization });
      assert.equal(status, 200, body.toString());
      return (JSON.parse(body.toString()) as { image: ImageExplanation }).image;
    };
    const seen = await ask('team/app:kept');
    assert.equal(seen.cache.state, 'partial');
    assert.equal(seen.pulls.length, 1);
    // What the rules say to anonymous is public; where they are written is not.
    assert.deepEqual([seen.access?.verdict, seen.access?.place], ['allowed', undefined]);

    const hidden = [{ ...rules[0], on: ['up/other/**'] }, rules[1]];
    assert.equal((await own.reload({ ...settings, access: { htpasswd, rules: hidden } })).outcome, 'changed');
    const { image: _, repository: __, access: ___, ...about } = await ask('team/app:kept');
    const { image: ____, repository: _____, access: ______, ...absent } = await ask('team/none:kept');
    assert.deepEqual(about, absent);
    assert.deepEqual([about.cache.state, about.upstreams, about.pulls], ['missing', [], []]);
  });
});
