import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { describe, test } from 'node:test';
import { connectUpstreamsWith, readAll, serve } from '../../../test/support/connect-upstreams.ts';
import { buildImage, type Content } from '../../../test/support/image.ts';
import type { FailureKind, Repository } from '../../oci/index.ts';
import { createMetrics } from '../../telemetry/index.ts';
import { UpstreamError } from '../error.ts';

// Several credentials for one upstream, used in turn as their budgets run low: over real connections.

const image = buildImage({ architectures: ['amd64'], layers: [10_000] });
const layer = image.platforms[0]?.layers[0] as Content;
const app: Repository = { registry: 'docker.io', repository: 'library/app' };
const latest = { kind: 'tag', tag: 'latest' } as const;

interface Account {
  password: string;
  /** Pulls left; undefined: no limit, and nothing is said. */
  pulls?: number;
  /** The repository is closed to it. */
  barred?: boolean;
}

/** A registry with a limit for each account, as Docker Hub has; what it was asked, by whom: `GET manifests ann`. */
class Registry {
  readonly accounts: Record<string, Account>;
  readonly asked: string[] = [];
  retryAfter: string | undefined;
  /** Where blobs are, if not here. */
  storage: string | undefined;
  readonly #basic: boolean;

  constructor(accounts: Record<string, Account>, { basic = false } = {}) {
    this.accounts = accounts;
    this.#basic = basic;
  }

  readonly listen: RequestListener = (request, response) => {
    const { method = '', url = '', headers } = request;
    const answer = (status: number, more: Record<string, string | number> = {}, body: string | Buffer = ''): void => {
      response.writeHead(status, more).end(method === 'HEAD' ? undefined : body);
    };
    const [scheme = '', value = ''] = (headers.authorization ?? '').split(' ');
    const [name = '', password] = Buffer.from(value, 'base64').toString().split(':');
    if (url.startsWith('/token')) {
      const known = this.accounts[name]?.password === password;
      this.asked.push(`token ${name}`);
      return known ? answer(200, {}, JSON.stringify({ token: value, expires_in: 300 })) : answer(401);
    }
    const wanted = this.#basic ? 'Basic' : 'Bearer';
    const account = scheme === wanted ? this.accounts[name] : undefined;
    if (account === undefined || account.password !== password) {
      const challenge = this.#basic
        ? 'Basic realm="x"'
        : `Bearer realm="http://${headers.host}/token",service="s",scope="repository:library/app:pull"`;
      if (scheme !== '') this.asked.push(`refused ${name}`);
      // What is left for clients without a login is no credential's here.
      return answer(401, { 'www-authenticate': challenge, 'ratelimit-remaining': '0;w=60' });
    }
    this.asked.push(`${method} ${url.split('/').at(-2)} ${name}`);
    if (account.barred === true) return answer(403);
    if (url.includes('/blobs/') && this.storage !== undefined) return answer(307, { location: this.storage });
    if (url.includes('/blobs/')) return answer(200, { 'content-length': layer.size }, layer.bytes);
    if (account.pulls === 0 && method === 'GET') {
      return answer(429, this.retryAfter === undefined ? {} : { 'retry-after': this.retryAfter }, 'Too Many Requests');
    }
    if (account.pulls !== undefined && method === 'GET') account.pulls -= 1;
    const limits: Record<string, string> =
      account.pulls === undefined
        ? {}
        : { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': `${account.pulls};w=21600` };
    const { bytes, digest, mediaType } = image.index;
    answer(
      200,
      { 'content-type': mediaType, 'content-length': bytes.length, 'docker-content-digest': digest, ...limits },
      bytes,
    );
  };

  /** Who was asked for manifests since the last time. */
  pulls(): string[] {
    const found = this.asked.filter((each) => each.startsWith('GET manifests')).map((each) => each.split(' ')[2] ?? '');
    this.asked.length = 0;
    return found;
  }
}

const passwords = { ann: 'canary-a', bob: 'canary-b', cid: 'canary-c' };
function credentialsOf(...names: (keyof typeof passwords)[]) {
  return names.map((username) => ({ username, password: passwords[username] }));
}

async function stage(
  accounts: Record<string, Account>,
  options: { basic?: boolean; listed?: (keyof typeof passwords)[] } = {},
) {
  const registry = new Registry(accounts, options);
  const server = await serve(registry.listen);
  const clock = { time: Date.now() };
  const credentials = credentialsOf(...(options.listed ?? ['ann', 'bob']));
  const upstreams = connectUpstreamsWith(
    { now: () => clock.time, random: () => 0 },
    { url: server.url, name: 'hub', credentials },
  );
  return {
    registry,
    clock,
    upstreams,
    pull: () => upstreams.getManifest(app, latest),
    async [Symbol.asyncDispose]() {
      await upstreams[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function failureOf(promise: Promise<unknown>, kind: FailureKind): Promise<UpstreamError> {
  const error: unknown = await promise.then(
    () => assert.fail('it should have failed'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof UpstreamError, String(error));
  assert.equal(error.kind, kind, error.message);
  assert.doesNotMatch(error.message, /canary|\bann\b|\bbob\b/);
  return error;
}

describe('several credentials', () => {
  test('one is used until it runs low, then the next: no pull fails, and the metrics show it', async () => {
    await using at = await stage({
      ann: { password: 'canary-a', pulls: 13 },
      bob: { password: 'canary-b', pulls: 100 },
    });
    const { registry, upstreams, pull } = at;
    const metrics = createMetrics(upstreams.telemetry, {
      upstreams: () => upstreams.healthOf().map((each) => ({ registry: 'docker.io', ...each })),
    });
    for (let i = 0; i < 8; i += 1) await pull();
    assert.equal(registry.asked.filter((each) => each.startsWith('token')).length, 2, 'one token for each');
    assert.deepEqual(registry.pulls(), ['ann', 'ann', 'ann', 'ann', 'bob', 'bob', 'bob', 'bob']);
    const lines = (await metrics.text()).body.split('\n').filter((each) => each.includes('pulls_left{'));
    assert.deepEqual(lines, [
      'entrepot_upstream_pulls_left{registry="docker.io",upstream="hub",credential="ann"} 9',
      'entrepot_upstream_pulls_left{registry="docker.io",upstream="hub",credential="bob"} 96',
    ]);
    metrics.close();
    assert.ok(upstreams.quotas.every(({ credential }) => credential === 'ann' || credential === 'bob'));
    assert.doesNotMatch(JSON.stringify([upstreams.events, upstreams.quotas, upstreams.health]), /canary/);
  });

  test('a 429 leads to the next at once, and is not asked for again until its time', async () => {
    await using at = await stage({ ann: { password: 'canary-a', pulls: 0 }, bob: { password: 'canary-b' } });
    const { registry, upstreams, clock, pull } = at;
    registry.retryAfter = '600';
    assert.equal((await pull()).visibility, 'private');
    assert.deepEqual(registry.pulls(), ['ann', 'bob']);
    await pull();
    assert.deepEqual(registry.pulls(), ['bob']);
    assert.deepEqual(upstreams.health, [], 'the upstream is well');
    clock.time += 600_000;
    (registry.accounts['bob'] as Account).pulls = 0;
    (registry.accounts['ann'] as Account).pulls = 100;
    await pull();
    assert.deepEqual(registry.pulls(), ['bob', 'ann']);
  });

  test('all of them throttled: so is the upstream, until the first may be used again; the rest goes on', async () => {
    await using at = await stage({
      ann: { password: 'canary-a', pulls: 0 },
      bob: { password: 'canary-b', pulls: 0 },
    });
    const { registry, upstreams, clock, pull } = at;
    registry.retryAfter = '40';
    const error = await failureOf(pull(), 'throttled');
    assert.deepEqual([error.status, error.retryAfter], [429, 40]);
    assert.deepEqual(registry.pulls(), ['ann', 'bob']);
    clock.time += 10_000;
    assert.equal((await failureOf(pull(), 'throttled')).retryAfter, 30);
    assert.deepEqual(registry.pulls(), []);
    assert.equal((await upstreams.headManifest(app, latest)).digest, image.index.digest);
    assert.deepEqual(await readAll((await upstreams.openBlob(app, layer.digest)).body), layer.bytes);
    for (const account of Object.values(registry.accounts)) account.pulls = 10;
    clock.time += 30_000;
    await pull();
    assert.equal(registry.pulls().length, 1);
  });

  for (const basic of [false, true]) {
    test(`a password that is wrong leads to the next, by ${basic ? 'Basic' : 'token'}; it is tried again later`, async () => {
      await using at = await stage({ ann: { password: 'changed' }, bob: { password: 'canary-b' } }, { basic });
      const { registry, clock, pull, upstreams } = at;
      await pull();
      await pull();
      assert.deepEqual(registry.pulls(), ['bob', 'bob']);
      (registry.accounts['bob'] as Account).password = 'changed';
      await failureOf(at.upstreams.getManifest(app, { kind: 'tag', tag: 'other' }), 'denied');
      assert.deepEqual(upstreams.health, [], 'a 401 opens no circuit');
      (registry.accounts['ann'] as Account).password = 'canary-a';
      clock.time += 3_600_000;
      await pull();
      assert.deepEqual(registry.pulls().at(-1), 'ann');
    });
  }

  test('one whose password is wrong is not tried for each question, even where the other runs low', async () => {
    await using at = await stage({ ann: { password: 'changed' }, bob: { password: 'canary-b', pulls: 8 } });
    for (let i = 0; i < 4; i += 1) await at.pull();
    assert.equal(at.registry.asked.filter((each) => each === 'token ann').length, 1);
    at.clock.time += 60_000;
    await at.pull();
    assert.equal(at.registry.asked.filter((each) => each === 'token ann').length, 2);
  });

  test('what a storage says is not about the credential', async () => {
    await using storage = await serve((_request, response) => response.writeHead(429).end());
    await using at = await stage({ ann: { password: 'canary-a' }, bob: { password: 'canary-b' } });
    at.registry.storage = storage.url;
    await failureOf(at.upstreams.openBlob(app, layer.digest), 'throttled');
    assert.deepEqual(
      at.registry.asked.filter((each) => each.startsWith('GET')),
      ['GET blobs ann'],
    );
  });

  test('all of them refused: denied, each asked once', async () => {
    await using at = await stage({ ann: { password: 'changed' }, bob: { password: 'changed' } });
    await failureOf(at.pull(), 'denied');
    assert.deepEqual(at.registry.asked, ['token ann', 'token bob']);
    for (let i = 0; i < 3; i += 1) await failureOf(at.upstreams.openBlob(app, layer.digest), 'denied');
    assert.deepEqual(at.upstreams.health, []);
  });

  test('a repository that is closed to one may be open to another', async () => {
    await using at = await stage({ ann: { password: 'canary-a', barred: true }, bob: { password: 'canary-b' } });
    await at.pull();
    assert.deepEqual(await readAll((await at.upstreams.openBlob(app, layer.digest)).body), layer.bytes);
    assert.ok(at.registry.asked.includes('GET blobs bob'));
  });

  test('closed to one and throttled for the other, in either order: it may be had later', async () => {
    const barred = { barred: true };
    const empty = { pulls: 0 };
    for (const [ann, bob] of [
      [barred, empty],
      [empty, barred],
    ] as const) {
      await using at = await stage({
        ann: { password: 'canary-a', ...ann },
        bob: { password: 'canary-b', ...bob },
      });
      at.registry.retryAfter = '7';
      assert.equal((await failureOf(at.pull(), 'throttled')).retryAfter, 7);
    }
  });

  test('three of them: the one with the most left is next', async () => {
    const pulls = { ann: 11, bob: 20, cid: 60 };
    const accounts = Object.fromEntries(
      Object.entries(pulls).map(([name, left]) => [
        name,
        { password: passwords[name as keyof typeof pulls], pulls: left },
      ]),
    );
    await using at = await stage(accounts, { listed: ['ann', 'bob', 'cid'] });
    for (let i = 0; i < 16; i += 1) await at.pull();
    const asked = at.registry.pulls();
    // Of which nothing is known counts as full, so bob comes before cid.
    assert.deepEqual(asked, [
      ...Array<string>(2).fill('ann'),
      ...Array<string>(11).fill('bob'),
      ...Array<string>(3).fill('cid'),
    ]);
  });
});
