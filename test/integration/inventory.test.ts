import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { ImageAnswer, RepositoriesAnswer, TagsAnswer } from '../../src/admin/index.ts';
import { gc } from '../../src/cli/commands/cache/gc.ts';
import { list } from '../../src/cli/commands/cache/list.ts';
import { pin, unpin } from '../../src/cli/commands/cache/pin.ts';
import { purge } from '../../src/cli/commands/cache/purge.ts';
import { rollback } from '../../src/cli/commands/cache/rollback.ts';
import { ask } from '../support/api-stage.ts';
import { captureOutput } from '../support/capture-output.ts';
import { buildImage, platformOf, type TestImage } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { pushImage } from '../support/push.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

// What is cached and hosted, listed by commands with a running server and without one, after real pulls and pushes.

const APP = buildImage({ seed: 'inventory app', layers: [40_000] });
const TOOL = buildImage({ seed: 'inventory tool', layers: [30_000] });
const alice = basic('alice');
const HOSTED = buildImage({ seed: 'inventory hosted', layers: [5000] });

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'entrepot-inventory-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

async function stage(t: TestContext, cache: Readonly<Record<string, unknown>> = {}) {
  const upstream = await startScriptedUpstream();
  upstream.add(APP, 'team/app', ['1.10', '1.9', 'latest']);
  upstream.add(TOOL, 'team/tool', ['latest']);
  const dir = await mkdtemp(join(scratch, 'cache-'));
  await writeFile(join(scratch, 'htpasswd'), htpasswdOf('alice', 'bob'));
  const config = {
    cache,
    access: {
      htpasswd: join(scratch, 'htpasswd'),
      rules: [
        { who: 'alice', may: ['pull', 'push', 'admin'], on: ['**'] },
        { who: 'bob', may: ['pull'], on: ['up/team/tool', 'apps/team/own'] },
        { who: ['alice', 'bob'], may: ['status', 'admin'] },
      ],
    },
    registries: { up: { upstreams: [{ url: upstream.url, name: 'hub' }] }, apps: { hosted: true } },
  };
  const file = join(scratch, `${crypto.randomUUID()}.yaml`);
  await writeFile(file, JSON.stringify({ ...config, cache: { dir, ...cache } }));
  const mirror = await startMirror(config, { dir });
  t.after(async () => {
    await mirror.stop();
    await upstream.stop();
  });
  const flags = { config: file };
  const say = async <O>(
    command: (options: O, output: ReturnType<typeof captureOutput>['output']) => Promise<number>,
    options: O,
  ) => {
    const { output, said } = captureOutput();
    const code = await command(options, output);
    return { code, out: said.out, err: said.err };
  };
  const ls = (pattern?: string, more: object = {}) =>
    say(list, { flags, ...(pattern === undefined ? {} : { pattern }), ...more });
  const json = async <T>(pattern?: string, more: object = {}): Promise<T> => {
    const { code, out, err } = await ls(pattern, { json: true, ...more });
    assert.equal(code, 0, err);
    return JSON.parse(out) as T;
  };
  return { mirror, upstream, flags, say, ls, json, dir };
}

/** Pulls an image as a client does on one platform. */
async function pull(mirror: Mirror, image: TestImage, repository: string, tag: string): Promise<void> {
  assert.equal((await mirror.get(`/up/v2/${repository}/manifests/${tag}`, alice)).status, 200);
  const { manifest, config, layers } = platformOf(image, 'amd64');
  assert.equal((await mirror.get(`/up/v2/${repository}/manifests/${manifest.digest}`, alice)).status, 200);
  for (const { digest } of [config, ...layers]) {
    const answer = await mirror.get(`/up/v2/${repository}/blobs/${digest}`, alice);
    if (answer.headers['x-cache'] === 'MISS') await mirror.logged(isIngestEnd(digest));
  }
}

describe('entrepot list', () => {
  test('lists repositories, tags and one image, the same with and without a server', async (t) => {
    const { mirror, ls, json } = await stage(t);
    const empty = await ls();
    assert.deepEqual([empty.code, empty.out, empty.err.startsWith('Nothing is cached or hosted yet')], [1, '', true]);
    for (const tag of ['latest', '1.10', '1.9']) await pull(mirror, APP, 'team/app', tag);
    await pull(mirror, TOOL, 'team/tool', 'latest');
    await pushImage({ host: mirror.host, repository: 'apps/team/own', headers: alice }, HOSTED, 'v1');
    const look = async () => {
      const all = await json<RepositoriesAnswer>();
      assert.deepEqual(
        all.repositories.map(({ registry, repository, home, tags }) => [`${registry}/${repository}`, home, tags]),
        [
          ['apps/team/own', 'hosted', 1],
          ['up/team/app', 'mirrored', 3],
          ['up/team/tool', 'mirrored', 1],
        ],
      );
      const names = async (pattern?: string, more: object = {}) =>
        (await json<RepositoriesAnswer>(pattern, more)).repositories.map((each) => each.repository);
      assert.deepEqual(await names('up'), ['team/app', 'team/tool']);
      assert.deepEqual(await names('up/team/t*'), ['team/tool']);
      assert.deepEqual(await names(undefined, { home: 'hosted' }), ['team/own']);
      assert.deepEqual(await names(undefined, { registry: 'up', search: 'APP team' }), ['team/app']);
      const tags = await json<TagsAnswer>('up/team/app');
      assert.deepEqual([tags.image, tags.home], ['up/team/app', 'mirrored']);
      assert.deepEqual(
        tags.tags.map(({ tag, digest, complete }) => [tag, digest, complete]),
        ['1.9', '1.10', 'latest'].map((tag) => [tag, APP.index.digest, false]),
      );
      assert.deepEqual(
        (await json<TagsAnswer>('up/team/app:1.*')).tags.map(({ tag }) => tag),
        ['1.9', '1.10'],
      );
      const image = await json<ImageAnswer>('up/team/app:1.10');
      const { manifest, config, layers } = platformOf(APP, 'amd64');
      const stored = image.children.filter((child) => child.complete);
      assert.deepEqual(
        stored.map(({ digest, platform }) => [digest, platform]),
        [[manifest.digest, 'linux/amd64']],
      );
      const sum = [manifest, config, ...layers].reduce((bytes, each) => bytes + each.bytes.length, 0);
      assert.deepEqual([stored[0]?.bytes, stored[0]?.storedBytes], [sum, sum]);
      assert.equal(image.entry.storedBytes, sum + APP.index.bytes.length);
      const byDigest = await json<ImageAnswer>(`up/team/app@${manifest.digest}`);
      assert.deepEqual(byDigest.entry.platforms, ['linux/amd64']);
      assert.deepEqual(
        byDigest.layers.map(({ digest, stored: isStored }) => [digest, isStored]),
        [config, ...layers].map(({ digest }) => [digest, true]),
      );
      const own = await json<ImageAnswer>('apps/team/own:v1');
      assert.deepEqual([own.home, own.entry.complete, own.entry.freshUntil], ['hosted', true, undefined]);
      assert.equal(
        own.children.every((child) => child.complete),
        true,
      );
    };
    await look();
    const table = await ls();
    assert.match(
      table.out,
      /^HOME +TAGS +LAST PULL +REPOSITORY\nhosted +1 +apps\/team\/own\nmirrored +3 +[\d-]{10} +up\/team\/app\n/,
    );
    const tags = await ls('up/team/app');
    assert.match(
      tags.out,
      /^ +SIZE +STORED +PLATFORMS +LAST PULL +KEPT +TAG\n(?: +\? +\S+ [KM]iB +amd64 of 2 +[\d-]{10} +1\.9\n)/,
    );
    for (const { out } of [table, tags]) for (const line of out.split('\n')) assert.ok(line.length <= 80, line);
    assert.match((await ls('up/team/app:1.9')).out, /^up\/team\/app:1\.9\n {2}digest +sha256:/);
    for (const [pattern, says] of [
      ['up/team/none', /up\/team\/none is neither cached nor hosted here/],
      ['up/team/app:none', /up\/team\/app:none is neither cached nor hosted here/],
      ['up/team/x*', /Nothing that is cached or hosted matches/],
      ['up/team/app:x*', /No image of up\/team\/app/],
      ['Not/Valid', /lower case/],
    ] as const) {
      const { code, out, err } = await ls(pattern);
      assert.deepEqual([code, out], [1, ''], pattern);
      assert.match(err, says);
    }
    assert.equal((await ls('up/*:1')).code, 2);
    await mirror.stop();
    await look();
    assert.equal((await ls()).out, table.out);
    assert.equal((await ls('up/team/app')).out, tags.out);
  });

  test('prints thousands of repositories of a directory page by page, each once', async (t) => {
    const { mirror, flags, dir } = await stage(t);
    await mirror.stop();
    const database = new DatabaseSync(join(dir, 'names.db'));
    database.exec(`WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2999)
      INSERT INTO members (registry, repository, digest, kind, media_type, size, visibility)
        SELECT 'up', printf('many/r%04d', n), 'sha256:' || printf('%064x', n), 'blob', 'x', 1, 'public' FROM numbers`);
    database.close();
    for (const json of [false, true]) {
      const pieces: string[] = [];
      const output = { out: (text: string) => pieces.push(text), err: () => {} };
      assert.equal(await list({ flags, json, pattern: 'up/many/r?5*' }, output), 0);
      const names = pieces.join('').match(/many\/r\d{4}/g) ?? [];
      const expected = Array.from({ length: 3000 }, (_, n) => `many/r${`${n}`.padStart(4, '0')}`);
      assert.deepEqual(
        names,
        expected.filter((name) => /r\d5/.test(name)),
      );
      // No piece has much more than one page of the list.
      assert.ok(pieces.length > 1 && pieces.every((text) => text.length < 100_000));
    }
  });

  test('prints one JSON document where nothing matches', async (t) => {
    const { ls } = await stage(t);
    const { code, out } = await ls(undefined, { json: true });
    assert.deepEqual([code, JSON.parse(out)], [1, { repositories: [] }]);
  });

  test('shows what clients get of a held tag', async (t) => {
    const { mirror, upstream, say, flags, json } = await stage(t, { tags: { fresh_for: '0s' } });
    await pull(mirror, APP, 'team/app', 'latest');
    upstream.add(TOOL, 'team/app', ['latest']);
    assert.equal((await mirror.get('/up/v2/team/app/manifests/latest', alice)).status, 200);
    const held = await say(rollback, { flags, image: `up/team/app:latest@${APP.index.digest}`, reason: 'why' });
    assert.equal(held.code, 0, held.err);
    const { entry, hold } = await json<ImageAnswer>('up/team/app:latest');
    assert.deepEqual(
      [entry.digest, entry.held, hold?.digest, hold?.reason],
      [APP.index.digest, true, APP.index.digest, 'why'],
    );
  });
});

describe('entrepot pin', () => {
  test('keeps an image from eviction, with and without a server, until it is unpinned', async (t) => {
    const { mirror, say, flags, json } = await stage(t, { tags: { fresh_for: '0s' } });
    await pull(mirror, APP, 'team/app', 'latest');
    await pull(mirror, TOOL, 'team/tool', 'latest');
    const pinned = await say(pin, { flags, images: ['up/team/app', 'up/team/none', 'apps/team/own:1'] });
    assert.equal(pinned.code, 1);
    assert.match(pinned.out, /^up\/team\/app:latest is pinned: its image is not evicted\.\n$/);
    assert.match(pinned.err, /up\/team\/none:latest is not cached; pull it/);
    assert.match(pinned.err, /apps\/team\/own:1 is hosted here: what is hosted is never evicted/);
    const again = await say(pin, { flags, images: ['up/team/app:latest'], json: true });
    assert.deepEqual(JSON.parse(again.out), { images: [{ image: 'up/team/app:latest', changed: false }] });
    assert.equal((await json<TagsAnswer>('up/team/app')).tags[0]?.pinned, 'operator');
    await say(gc, { flags, maxSize: '0B' });
    const complete = async (repository: string) =>
      (await json<ImageAnswer>(`up/team/${repository}:latest`)).children.some((child) => child.complete);
    assert.deepEqual([await complete('app'), await complete('tool')], [true, false]);
    await mirror.stop();
    await say(gc, { flags, maxSize: '0B' });
    assert.equal(await complete('app'), true);
    const ended = await say(unpin, { flags, images: ['up/team/app', 'up/team/tool'] });
    assert.equal(ended.code, 1);
    assert.match(
      ended.out,
      /up\/team\/app:latest is no longer pinned.*\nup\/team\/tool:latest is not pinned by an operator/,
    );
    await say(gc, { flags, maxSize: '0B' });
    assert.equal(await complete('app'), false);
  });

  test('ends with a purge of the tag', async (t) => {
    const { mirror, say, flags, json } = await stage(t);
    await pull(mirror, APP, 'team/app', 'latest');
    await say(pin, { flags, images: ['up/team/app'] });
    const planned = await say(purge, { flags, patterns: ['up/team/app'], dryRun: true });
    assert.match(planned.out, /1 pin of these tags would be ended with them/);
    assert.equal((await json<TagsAnswer>('up/team/app')).tags[0]?.pinned, 'operator');
    assert.match((await say(purge, { flags, patterns: ['up/team/app'] })).out, /1 pin of these tags was ended/);
    await pull(mirror, APP, 'team/app', 'latest');
    assert.equal((await json<TagsAnswer>('up/team/app')).tags[0]?.pinned, undefined);
  });

  test('is told apart from a pattern of the configuration', async (t) => {
    const { mirror, json } = await stage(t, { pin: ['up/team/*:latest'] });
    await pull(mirror, APP, 'team/app', 'latest');
    assert.equal((await json<TagsAnswer>('up/team/app')).tags[0]?.pinned, 'configuration');
  });
});

describe('the API', () => {
  test('shows each client what it may pull, and says of all else that it is not there', async (t) => {
    const { mirror } = await stage(t);
    for (const [image, name] of [
      [APP, 'team/app'],
      [TOOL, 'team/tool'],
    ] as const) {
      await pull(mirror, image, name, 'latest');
    }
    await pushImage({ host: mirror.host, repository: 'apps/team/own', headers: alice }, HOSTED, 'v1');
    const bob = basic('bob');
    const read = async (path: string, headers = bob) => {
      const answer = await ask(mirror, 'GET', `/api/v1/${path}`, { headers });
      return { status: answer.status, value: answer.value as Record<string, unknown> };
    };
    const named = async (headers: typeof bob): Promise<readonly string[]> => {
      const names: string[] = [];
      for (let after = ''; ; ) {
        const { status, value } = await read(`repositories?limit=1${after}`, headers);
        assert.equal(status, 200, JSON.stringify(value));
        const { repositories, next } = value as unknown as RepositoriesAnswer;
        names.push(...repositories.map((each) => `${each.registry}/${each.repository}`));
        if (next === undefined) return names;
        after = `&after=${next}`;
      }
    };
    assert.deepEqual(await named(alice), ['apps/team/own', 'up/team/app', 'up/team/tool']);
    assert.deepEqual(await named(bob), ['apps/team/own', 'up/team/tool']);
    assert.equal((await read('tags?image=up/team/tool')).status, 200);
    assert.equal((await read('image?image=up/team/app:latest', alice)).status, 200);
    for (const path of ['tags?image=', 'image?image=']) {
      const hidden = await read(`${path}up/team/app`);
      const missing = await read(`${path}up/team/nope`);
      assert.equal(hidden.status, 404);
      const text = (value: object) => JSON.stringify(value).replaceAll('team/nope', 'team/app');
      const { instance: _, ...shown } = hidden.value;
      const { instance: __, ...said } = missing.value;
      assert.equal(text(shown), text(said));
    }
    assert.equal((await read('repositories?limit=1&after=made-up')).status, 422);
  });
});
