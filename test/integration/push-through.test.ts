import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import { ACCOUNT, IMAGE, image, outcome, pushImage, REPOSITORY, stage, start, upload } from '../support/push-client.ts';
import { pushStage } from '../support/push-stage.ts';
import { PushUpstream, send, sendError } from '../support/push-upstream.ts';

describe('what is pushed through', () => {
  test('reaches the upstream with the credential of this server, and its first pull is a hit with the upstream stopped', async (t) => {
    const { upstream, ask, stage: made } = await stage(t);
    const pushed = image(randomBytes(3_000_000));
    const put = await pushImage(ask, pushed, 'v1');
    assert.deepEqual([put.status, put.headers['docker-content-digest']], [201, pushed.digest]);
    assert.equal(put.headers['location'], `${REPOSITORY}/manifests/${pushed.digest}`);
    assert.equal(upstream.tags.get('ours/app v1'), pushed.digest);
    assert.ok(upstream.blobs.get(`ours/app ${digestOf(pushed.layer)}`)?.equals(pushed.layer));
    // A token for the first challenge serves the rest.
    assert.deepEqual(upstream.scopes, ['repository:ours/app:pull,push']);
    assert.ok(upstream.seen.every(({ authorization }) => authorization?.includes('Test') !== true));

    await upstream.close();
    for (const [path, bytes] of [
      ['manifests/v1', pushed.manifest],
      [`manifests/${pushed.digest}`, pushed.manifest],
      [`blobs/${digestOf(pushed.layer)}`, pushed.layer],
      [`blobs/${digestOf(pushed.config)}`, pushed.config],
    ] as const) {
      const pulled = await ask('GET', `${REPOSITORY}/${path}`, { as: 'bob' });
      assert.deepEqual([pulled.status, pulled.headers['x-cache']], [200, 'HIT'], path);
      assert.ok(pulled.body.equals(bytes), path);
    }
    const head = await ask('HEAD', `${REPOSITORY}/manifests/v1`);
    assert.deepEqual([head.status, head.headers['docker-content-digest']], [200, pushed.digest]);
    const member = await made.world.metadata.getMember(
      { registry: 'ghcr.io', repository: 'ours/app' },
      digestOf(pushed.layer),
    );
    assert.deepEqual([member?.visibility, member?.size], ['private', 3_000_000]);
    assert.deepEqual(
      made.seen('tag.moved').map(({ tag, digest, from, by }) => [tag, digest, from, by]),
      [['v1', pushed.digest, undefined, 'alice']],
    );
    assert.equal(made.seen('blob.pushed').length, 2);
  });

  test('may come in chunks and end without bytes, or with the last ones', async (t) => {
    for (const isLastInPut of [false, true]) {
      const { upstream, ask } = await stage(t);
      const bytes = randomBytes(100_000);
      const digest = digestOf(bytes);
      let location = await start(ask);
      for (const [first, last] of [
        [0, 39_999],
        [40_000, 79_999],
        ...(isLastInPut ? [] : [[80_000, 99_999] as const]),
      ] as const) {
        const headers = { 'content-range': `${first}-${last}` };
        const patched = await ask('PATCH', location, { headers, body: bytes.subarray(first, last + 1) });
        assert.deepEqual([patched.status, patched.headers['range']], [202, `0-${last}`]);
        location = patched.headers['location'] ?? '';
      }
      const rest = isLastInPut ? { headers: { 'content-range': '80000-99999' }, body: bytes.subarray(80_000) } : {};
      const done = await ask('PUT', `${location}&digest=${digest}`, rest);
      assert.deepEqual([done.status, done.headers['location']], [201, `${REPOSITORY}/blobs/${digest}`]);
      await upstream.close();
      const pulled = await ask('GET', `${REPOSITORY}/blobs/${digest}`);
      assert.deepEqual([pulled.status, pulled.headers['x-cache']], [200, 'HIT']);
      assert.ok(pulled.body.equals(bytes));
    }
  });

  test('may be streamed without a length, and is passed on no faster than the upstream takes it', async (t) => {
    const { upstream, ask } = await stage(t);
    const MiB = 1024 * 1024;
    const bytes = Buffer.alloc(64 * MiB, 7);
    const { promise: mayRead, resolve: letRead } = Promise.withResolvers<void>();
    upstream.script = async (request, response, seen) => {
      if (request.method === 'PATCH') {
        response.writeContinue();
        await mayRead;
      }
      await upstream.usual(request, response, seen);
    };
    let given = 0;
    async function* body() {
      for (; given < 64; given += 1) yield bytes.subarray(given * MiB, (given + 1) * MiB);
    }
    const location = await start(ask);
    const patching = ask('PATCH', location, { body: body() });
    for (let before = -1; before !== given; ) {
      before = given;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    assert.ok(given < 40, `${given} MiB were taken before the upstream wanted them`);
    letRead();
    const patched = await patching;
    assert.deepEqual([patched.status, patched.headers['range']], [202, `0-${bytes.length - 1}`]);
    const done = await ask('PUT', `${patched.headers['location']}&digest=${digestOf(bytes)}`);
    assert.equal(done.status, 201);
    await upstream.close();
    const pulled = await ask('GET', `${REPOSITORY}/blobs/${digestOf(bytes)}`);
    assert.deepEqual([pulled.headers['x-cache'], pulled.body.length], ['HIT', bytes.length]);
  });

  test('may come whole with the request that starts it, also by sha512', async (t) => {
    const { upstream, ask } = await stage(t);
    const bytes = randomBytes(5000);
    const digest = digestOf(bytes, 'sha512');
    const done = await ask('POST', `${REPOSITORY}/blobs/uploads/?digest=${digest}&digest-algorithm=sha512`, {
      body: bytes,
    });
    assert.deepEqual([done.status, done.headers['docker-content-digest']], [201, digest]);
    // Not every registry takes a blob so: it gets an upload.
    assert.deepEqual(upstream.asked().slice(-2), [
      'POST /v2/ours/app/blobs/uploads/',
      'PUT /v2/ours/app/blobs/uploads/ID',
    ]);
    await upstream.close();
    assert.equal((await ask('GET', `${REPOSITORY}/blobs/${digest}`)).headers['x-cache'], 'HIT');
  });

  test('gives its state back to the upstream as it was written, and never shows it', async (t) => {
    const { upstream, ask } = await stage(t);
    const location = await start(ask);
    assert.match(location, /^\/v2\/ours\/app\/blobs\/uploads\/[0-9a-f-]{36}\?_state=[\w-]+$/);
    await ask('PUT', `${location}&digest=${digestOf(Buffer.from('x'))}`, { body: Buffer.from('x') });
    assert.match(upstream.seen.at(-1)?.url ?? '', /\?_state=a'b%2Fc\|0==&digest=sha256%3A/);
  });

  test('is found under another spelling of the repository too, where its Location stays', async (t) => {
    const { ask } = await stage(t);
    const reply = await ask('POST', '/v2/ghcr.io/ours/app/blobs/uploads/');
    assert.match(reply.headers['location'] ?? '', /^\/v2\/ghcr\.io\/ours\/app\/blobs\/uploads\//);
    const bytes = Buffer.from('other spelling');
    const done = await ask('PUT', `${reply.headers['location']}&digest=${digestOf(bytes)}`, { body: bytes });
    assert.deepEqual([done.status, done.headers['location']], [201, `/v2/ghcr.io/ours/app/blobs/${digestOf(bytes)}`]);
    const byNs = await ask('POST', `${REPOSITORY}/blobs/uploads/?ns=ghcr.io`);
    assert.match(byNs.headers['location'] ?? '', /&ns=ghcr\.io$/);
  });

  test('asks for the right to push although the challenge names another', async (t) => {
    const namedScope = 'repository:user/image:pull';
    const { upstream, ask } = await stage(t, { upstream: { credentials: ACCOUNT, namedScope } });
    await upload(ask, Buffer.from('layer'));
    assert.deepEqual(upstream.scopes, ['repository:ours/app:pull,push']);
  });

  test('is put under every tag that the upstream confirms', async (t) => {
    const { upstream, ask } = await stage(t);
    const pushed = image(randomBytes(10));
    await pushImage(ask, pushed, 'v1');
    const put = await ask('PUT', `${REPOSITORY}/manifests/${pushed.digest}?tag=a&tag=b&tag=a`, {
      headers: { 'content-type': IMAGE },
      body: pushed.manifest,
    });
    assert.deepEqual([put.status, put.headers['oci-tag']], [201, 'a, b']);
    await upstream.close();
    for (const tag of ['a', 'b']) assert.equal((await ask('GET', `${REPOSITORY}/manifests/${tag}`)).status, 200);
  });

  test('is seen at once where the tag was known or missing', async (t) => {
    const { ask } = await stage(t);
    const [first, second] = [image(randomBytes(10)), image(randomBytes(10))];
    assert.equal((await ask('GET', `${REPOSITORY}/manifests/v1`)).status, 404);
    await pushImage(ask, first, 'v1');
    const digestNow = async () =>
      (await ask('GET', `${REPOSITORY}/manifests/v1`, { as: 'bob' })).headers['docker-content-digest'];
    assert.equal(await digestNow(), first.digest);
    await pushImage(ask, second, 'v1');
    assert.equal(await digestNow(), second.digest);
  });

  test('is not undone by the answer to a question of before', async (t) => {
    const { upstream, ask } = await stage(t);
    const [first, second] = [image(randomBytes(10)), image(randomBytes(10))];
    await pushImage(ask, first, 'v1');
    const old = upstream.manifests.get(`ours/app ${first.digest}`);
    const [asked, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    upstream.script = async (request, response, seen) => {
      if (seen.method !== 'GET' || !seen.url.endsWith('/v2/ours/app/manifests/v2')) {
        return upstream.usual(request, response, seen);
      }
      asked.resolve();
      await answer.promise;
      return send(response, 200, { 'content-type': IMAGE }, old?.bytes);
    };
    const asking = ask('GET', `${REPOSITORY}/manifests/v2`, { as: 'bob' });
    await asked.promise;
    assert.equal((await pushImage(ask, second, 'v2')).status, 201);
    answer.resolve();
    assert.equal((await asking).headers['docker-content-digest'], first.digest);
    await upstream.close();
    const now = await ask('GET', `${REPOSITORY}/manifests/v2`, { as: 'bob' });
    assert.equal(now.headers['docker-content-digest'], second.digest);
  });
});

describe('an upload', () => {
  test('tells how far it is, and is given up', async (t) => {
    const { upstream, ask } = await stage(t);
    const patched = await ask('PATCH', await start(ask), { body: randomBytes(100) });
    const status = await ask('GET', patched.headers['location'] ?? '');
    assert.deepEqual([status.status, status.headers['range']], [204, '0-99']);
    assert.equal(status.headers['docker-upload-uuid'], patched.headers['docker-upload-uuid']);
    assert.equal((await start(ask)).length > 0, true);
    assert.equal(status.headers['oci-chunk-min-length'], '5');
    assert.equal((await ask('DELETE', status.headers['location'] ?? '')).status, 204);
    assert.equal(upstream.openUploads, 1);
    assert.deepEqual(outcome(await ask('PATCH', status.headers['location'] ?? '', { body: Buffer.from('x') })), [
      404,
      'BLOB_UPLOAD_UNKNOWN',
    ]);
  });

  test('survives a chunk out of order, which is refused before it is read', async (t) => {
    const { upstream, ask } = await stage(t);
    const bytes = randomBytes(20);
    const location = (await ask('PATCH', await start(ask), { body: bytes.subarray(0, 10) })).headers['location'] ?? '';
    for (const [method, query] of [
      ['PATCH', ''],
      ['PUT', `&digest=${digestOf(bytes)}`],
    ] as const) {
      const headers = { 'content-range': '15-19' };
      const refused = await ask(method, `${location}${query}`, { headers, body: bytes.subarray(15) });
      assert.deepEqual([...outcome(refused), refused.headers['range']], [416, 'RANGE_INVALID', '0-9']);
      assert.equal(upstream.seen.at(-1)?.received, 0);
      assert.match(refused.headers['location'] ?? '', /_state=/);
    }
    const headers = { 'content-range': '10-19' };
    const done = await ask('PUT', `${location}&digest=${digestOf(bytes)}`, { headers, body: bytes.subarray(10) });
    assert.equal(done.status, 201);
    await upstream.close();
    assert.equal((await ask('GET', `${REPOSITORY}/blobs/${digestOf(bytes)}`)).headers['x-cache'], 'HIT');
  });

  test('belongs to its principal, repository and path, and its state cannot be made up', async (t) => {
    const { ask } = await stage(t, { decide: () => ({ allowed: true }) });
    const location = await start(ask);
    const digest = digestOf(Buffer.from('x'));
    const tries: readonly (readonly [path: string, as?: string])[] = [
      [location, 'mallory'],
      [location.replace('ours/app', 'ours/other')],
      [location.replace(/[0-9a-f]{8}-/, '00000000-')],
      [`${location.slice(0, -1)}${location.endsWith('A') ? 'B' : 'A'}`],
      [location.replace(/\?.*/, '')],
      [location.replace(/_state=.*/, '_state=AAAA')],
    ];
    for (const [path, as = 'alice'] of tries) {
      const at = `${path}${path.includes('?') ? '&' : '?'}digest=${digest}`;
      assert.deepEqual(
        outcome(await ask('PUT', at, { body: Buffer.from('x'), as })),
        [404, 'BLOB_UPLOAD_UNKNOWN'],
        path,
      );
    }
    assert.equal((await ask('PUT', `${location}&digest=${digest}`, { body: Buffer.from('x') })).status, 201);
  });

  test('outlives a restart of this server, and the bytes that come after it are not kept', async (t) => {
    const key = () => Promise.resolve(Buffer.alloc(32, 7));
    const { upstream, ask } = await stage(t, { key });
    const bytes = randomBytes(20);
    const location = (await ask('PATCH', await start(ask), { body: bytes.subarray(0, 10) })).headers['location'] ?? '';
    const again = await pushStage(t, { upstreams: [{ url: upstream.url, credentials: ACCOUNT }], key });
    // A balancer in front of the registry wants the body before the registry has seen the token.
    upstream.script = async (request, response, seen) => {
      if (request.headers.expect !== undefined) {
        response.writeContinue();
        await once(request, 'readable');
      }
      delete request.headers.expect;
      await upstream.usual(request, response, seen);
    };
    const done = await again.ask('PUT', `${location}&digest=${digestOf(bytes)}`, { body: bytes.subarray(10) });
    assert.equal(done.status, 201);
    assert.equal(await again.world.store.stat(digestOf(bytes)), undefined);
    assert.ok((await again.ask('GET', `${REPOSITORY}/blobs/${digestOf(bytes)}`)).body.equals(bytes));
    const other = await pushStage(t, { upstreams: [{ url: upstream.url, credentials: ACCOUNT }] });
    assert.equal((await other.ask('GET', location)).code, 'BLOB_UPLOAD_UNKNOWN');
  });

  test('refuses what cannot be right before it asks the upstream', async (t) => {
    const { upstream, ask } = await stage(t);
    const location = await start(ask);
    const asked = upstream.seen.length;
    const body = Buffer.from('12345');
    const digest = digestOf(body);
    for (const [path, headers, expected] of [
      [location, {}, [400, 'DIGEST_INVALID']],
      [`${location}&digest=sha256:abc`, {}, [400, 'DIGEST_INVALID']],
      [`${location}&digest=${digest}`, { 'content-range': '0-9' }, [400, 'SIZE_INVALID']],
      [`${location}&digest=${digest}`, { 'content-range': '9-5' }, [416, 'RANGE_INVALID']],
      [`${location}&digest=${digest}`, { 'content-range': 'all' }, [400, 'BLOB_UPLOAD_INVALID']],
    ] as const) {
      assert.deepEqual(outcome(await ask('PUT', path, { headers, body })), expected, JSON.stringify([path, headers]));
    }
    assert.deepEqual(outcome(await ask('POST', location)), [405, 'UNSUPPORTED']);
    assert.equal(upstream.seen.length, asked);
    assert.equal((await ask('PUT', `${location}&digest=${digest}`, { body })).status, 201);
  });

  test('without the right to push never reaches the upstream', async (t) => {
    const { upstream, ask } = await stage(t);
    for (const [method, path] of [
      ['POST', `${REPOSITORY}/blobs/uploads/`],
      ['PUT', `${REPOSITORY}/manifests/v1`],
      ['DELETE', `${REPOSITORY}/manifests/v1`],
    ] as const) {
      for (const as of ['bob', '']) {
        assert.equal((await ask(method, path, { as, body: Buffer.from('{}') })).status, 403);
      }
    }
    assert.deepEqual(upstream.seen, []);
  });
});

describe('a mount', () => {
  test('is made by the upstream, with a scope for both repositories, and its blob is a hit', async (t) => {
    const { upstream, ask } = await stage(t);
    const bytes = randomBytes(1000);
    const digest = await upload(ask, bytes);
    for (const [path, from] of [
      ['/v2/ours/other', 'ours/app'],
      ['/v2/ghcr.io/ours/third', 'ghcr.io/ours/app'],
    ] as const) {
      const mounted = await ask('POST', `${path}/blobs/uploads/?mount=${digest}&from=${from}`);
      assert.deepEqual([mounted.status, mounted.headers['location']], [201, `${path}/blobs/${digest}`]);
    }
    assert.ok(upstream.scopes.includes('repository:ours/other:pull,push repository:ours/app:pull'));
    await upstream.close();
    const pulled = await ask('GET', `/v2/ours/other/blobs/${digest}`);
    assert.deepEqual([pulled.status, pulled.headers['x-cache']], [200, 'HIT']);
  });

  test('is an upload where the client may not pull from there, or names nothing to mount from', async (t) => {
    const { upstream, ask } = await stage(t, {
      decide: ({ action, repository }) =>
        action === 'pull' && repository?.repository === 'secret/base'
          ? { allowed: false, reason: 'no' }
          : { allowed: true },
      isHosted: ({ repository }) => repository === 'here/base',
    });
    const digest = digestOf(Buffer.from('secret'));
    for (const from of ['secret/base', 'here/base', 'docker.io/..', '']) {
      upstream.blobs.set(`${from} ${digest}`, Buffer.from('secret'));
      const query = `?mount=${digest}${from === '' ? '' : `&from=${from}`}`;
      assert.equal((await ask('POST', `${REPOSITORY}/blobs/uploads/${query}`)).status, 202, from);
      assert.ok(!(upstream.seen.at(-1)?.url ?? '').includes('mount'));
    }
  });

  test('that the upstream refuses is an upload', async (t) => {
    const { upstream, ask } = await stage(t);
    upstream.script = (request, response, seen) =>
      seen.url.includes('mount=')
        ? sendError(response, 403, 'DENIED', 'may not read there')
        : upstream.usual(request, response, seen);
    const reply = await ask('POST', `${REPOSITORY}/blobs/uploads/?mount=${digestOf(Buffer.from('x'))}&from=ours/base`);
    assert.equal(reply.status, 202);
  });
});

describe('before a push', () => {
  test('the upstream says what it has, for those who may push; others get what is here', async (t) => {
    const { upstream, ask } = await stage(t);
    const pushed = image(randomBytes(100));
    await pushImage(ask, pushed, 'v1');
    upstream.blobs.clear();
    upstream.manifests.clear();
    upstream.tags.clear();
    for (const path of [`blobs/${digestOf(pushed.layer)}`, `manifests/${pushed.digest}`, 'manifests/v1']) {
      assert.equal((await ask('HEAD', `${REPOSITORY}/${path}`)).status, 404, path);
      assert.equal((await ask('HEAD', `${REPOSITORY}/${path}`, { as: 'bob' })).status, 200, path);
    }
    // So the client sends everything again.
    assert.equal((await pushImage(ask, pushed, 'v1')).status, 201);
    assert.equal((await ask('HEAD', `${REPOSITORY}/blobs/${digestOf(pushed.layer)}`)).status, 200);
    await upstream.close();
    assert.equal((await ask('HEAD', `${REPOSITORY}/manifests/v1`)).status, 200);
    assert.equal((await ask('HEAD', `${REPOSITORY}/blobs/${digestOf(pushed.layer)}`)).status, 200);
  });

  test('the token for the push asks too, and what it may not read is not there', async (t) => {
    const { upstream, ask } = await stage(t);
    const path = `${REPOSITORY}/blobs/${digestOf(Buffer.from('x'))}`;
    assert.equal((await ask('HEAD', path)).status, 404);
    await start(ask);
    assert.deepEqual(upstream.scopes, ['repository:ours/app:pull,push']);
    upstream.script = (_request, response) => sendError(response, 403, 'DENIED', 'no such repository of yours');
    assert.equal((await ask('HEAD', path)).status, 404);
    assert.equal((await ask('HEAD', `${REPOSITORY}/manifests/v1`)).status, 404);
    assert.equal((await ask('POST', `${REPOSITORY}/blobs/uploads/`)).status, 403);
  });

  test('only the first upstream is asked', async (t) => {
    await using second = await PushUpstream.start();
    await using first = await PushUpstream.start();
    const bytes = Buffer.from('only at the second');
    second.blobs.set(`ours/app ${digestOf(bytes)}`, bytes);
    const { ask } = await pushStage(t, { upstreams: [{ url: first.url }, { url: second.url }] });
    assert.equal((await ask('HEAD', `${REPOSITORY}/blobs/${digestOf(bytes)}`)).status, 404);
    assert.equal((await ask('HEAD', `${REPOSITORY}/blobs/${digestOf(bytes)}`, { as: 'bob' })).status, 200);
    await upload(ask, Buffer.from('new'));
    assert.ok(second.asked().every((each) => each.startsWith('HEAD')));
  });
});

describe('a deletion', () => {
  test('of a tag, a manifest and a blob is made by the upstream, and what was kept is forgotten', async (t) => {
    const { upstream, ask, stage: made } = await stage(t);
    const pushed = image(randomBytes(100));
    await pushImage(ask, pushed, 'v1');
    await pushImage(ask, pushed, 'v2');
    assert.equal((await ask('DELETE', `${REPOSITORY}/manifests/v1`)).status, 202);
    assert.equal((await ask('GET', `${REPOSITORY}/manifests/v1`)).status, 404);
    assert.equal((await ask('GET', `${REPOSITORY}/manifests/v2`)).status, 200);
    assert.equal((await ask('DELETE', `${REPOSITORY}/manifests/${pushed.digest}`)).status, 202);
    upstream.tags.clear();
    assert.equal((await ask('GET', `${REPOSITORY}/manifests/v2`)).status, 404);
    assert.equal((await ask('GET', `${REPOSITORY}/manifests/${pushed.digest}`)).status, 404);
    const layer = `${REPOSITORY}/blobs/${digestOf(pushed.layer)}`;
    assert.equal((await ask('DELETE', layer)).status, 202);
    assert.equal((await ask('GET', layer)).status, 404);
    assert.deepEqual(outcome(await ask('DELETE', layer)), [404, 'BLOB_UNKNOWN']);
    assert.deepEqual(
      made.seen('tag.deleted').map(({ tag }) => tag),
      ['v1'],
    );
    assert.deepEqual(
      made.seen('manifest.deleted').map(({ tags }) => tags),
      [['v2']],
    );
    assert.ok(upstream.scopes.includes('repository:ours/app:delete'));
  });
});

describe('an immutable tag', () => {
  test('takes the same digest again, and no other', async (t) => {
    const { ask } = await stage(t, {
      isImmutable: (_repository, tag) => tag.startsWith('v'),
      hasImmutable: () => true,
    });
    const [first, second] = [image(randomBytes(10)), image(randomBytes(10))];
    assert.equal((await pushImage(ask, first, 'v1')).status, 201);
    assert.equal((await pushImage(ask, first, 'v1')).status, 201);
    const refused = await pushImage(ask, second, 'v1');
    assert.deepEqual(outcome(refused), [403, 'DENIED']);
    assert.match(
      refused.body.toString(),
      new RegExp(`\\(immutable_tags\\) and points to ${first.digest}; push under another`),
    );
    const headers = { 'content-type': IMAGE };
    const byQuery = `${REPOSITORY}/manifests/${second.digest}?tag=latest&tag=v1`;
    assert.deepEqual(outcome(await ask('PUT', byQuery, { headers, body: second.manifest })), [403, 'DENIED']);
    assert.deepEqual(outcome(await ask('DELETE', `${REPOSITORY}/manifests/v1`)), [403, 'DENIED']);
    // It would take the tag along.
    assert.deepEqual(outcome(await ask('DELETE', `${REPOSITORY}/manifests/${first.digest}`)), [405, 'DENIED']);
    assert.equal((await ask('GET', `${REPOSITORY}/manifests/v1`)).status, 200);
    assert.equal((await pushImage(ask, second, 'latest')).status, 201);
  });
});
