import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import { ACCOUNT, IMAGE, image, outcome, pushImage, REPOSITORY, stage, start, upload } from '../support/push-client.ts';
import { pushStage } from '../support/push-stage.ts';
import { PushUpstream, receive, send, sendError } from '../support/push-upstream.ts';

describe('an upstream that fails', () => {
  test('with a status of its own is heard by the client, in its meaning', async (t) => {
    const { upstream, ask } = await stage(t);
    const rows: readonly (readonly [number, string, string, Record<string, string>, readonly unknown[]])[] = [
      [400, 'NAME_INVALID', 'no capital letters', {}, [400, 'NAME_INVALID', undefined]],
      [403, 'DENIED', 'quota of the organisation is reached', {}, [403, 'DENIED', undefined]],
      [401, 'UNAUTHORIZED', 'log in', {}, [403, 'DENIED', undefined]],
      [404, 'NAME_UNKNOWN', 'create the repository first', {}, [404, 'NAME_UNKNOWN', undefined]],
      [409, 'TAG_IMMUTABLE', 'the tag exists', {}, [409, 'UNKNOWN', undefined]],
      [302, 'FOUND', '', { location: '/elsewhere' }, [502, 'UNAVAILABLE', undefined]],
    ];
    for (const [status, code, message, headers, expected] of rows) {
      upstream.script = (request, response, seen) =>
        seen.method === 'POST'
          ? sendError(response, status, code, message, headers)
          : upstream.usual(request, response, seen);
      const reply = await ask('POST', `${REPOSITORY}/blobs/uploads/`);
      assert.deepEqual([...outcome(reply), reply.headers['retry-after']], expected, `${status}`);
      if (status !== 302 && status !== 401) assert.match(reply.message ?? '', new RegExp(message));
      if (status === 401)
        assert.match(reply.message ?? '', /takes no push with the credential .*the operator sets credentials/);
      assert.equal(reply.headers['www-authenticate'], undefined);
    }
  });

  test('for a while is tried again by the client: 429 and 5xx, with Retry-After', async (t) => {
    for (const [status, sent, expected] of [
      [429, '7', [429, 'TOOMANYREQUESTS', '7']],
      [503, '9', [503, 'UNAVAILABLE', '9']],
      [500, undefined, [503, 'UNAVAILABLE', '5']],
    ] as const) {
      const { upstream, ask } = await stage(t);
      upstream.script = (_request, response) =>
        send(response, status, sent === undefined ? {} : { 'retry-after': sent }, 'no');
      const reply = await ask('POST', `${REPOSITORY}/blobs/uploads/`);
      assert.deepEqual([...outcome(reply), reply.headers['retry-after']], expected);
    }
  });

  test('by repeating the credential in its message shows nothing of it', async (t) => {
    const { upstream, ask } = await stage(t);
    const digest = digestOf(Buffer.from('x'));
    upstream.script = (request, response, seen) => {
      if (seen.method !== 'POST' || seen.authorization === undefined) return upstream.usual(request, response, seen);
      const token = seen.authorization.replace('Bearer ', '');
      const text = `denied ${digest} for authorization: ${seen.authorization}, ${Buffer.from(`robot:${token}${token}`).toString('base64')}\r\nx: y`;
      return sendError(response, 400, 'UNSUPPORTED', text);
    };
    const reply = await ask('POST', `${REPOSITORY}/blobs/uploads/`);
    assert.equal(reply.status, 400);
    assert.match(reply.message ?? '', new RegExp(`denied ${digest} for authorization: …`));
    const secrets = upstream.seen.flatMap(({ authorization }) => authorization?.split(' ')[1] ?? []);
    for (const secret of secrets) assert.ok(!reply.message?.includes(secret));
    assert.ok(!reply.message?.includes('cm9ib3Q6'));
  });

  test('by cutting the connection in the middle of a blob is an error, and nothing is kept', async (t) => {
    const { upstream, ask, stage: made } = await stage(t);
    const bytes = randomBytes(4_000_000);
    upstream.script = (request, response, seen) => {
      if (seen.method !== 'PUT') return upstream.usual(request, response, seen);
      response.writeContinue();
      request.once('data', () => request.destroy());
      return undefined;
    };
    const reply = await ask('PUT', `${await start(ask)}&digest=${digestOf(bytes)}`, { body: bytes });
    assert.deepEqual(outcome(reply), [503, 'UNAVAILABLE']);
    assert.equal(await made.world.store.stat(digestOf(bytes)), undefined);
    assert.equal(made.world.store.opened, 0);
    upstream.script = () => 'usual';
    await upload(ask, bytes);
  });

  test('by refusing a token before the body is sent gets the body with another', async (t) => {
    const { upstream, ask } = await stage(t);
    const bytes = randomBytes(1_000_000);
    const location = await start(ask);
    upstream.revoke();
    const done = await ask('PUT', `${location}&digest=${digestOf(bytes)}`, { body: bytes });
    assert.equal(done.status, 201);
    const puts = upstream.seen.filter(({ method }) => method === 'PUT');
    assert.deepEqual(
      puts.map(({ received }) => received),
      [0, 1_000_000],
    );
  });

  test('by refusing a token in the middle of the body is tried again by the client, with another token', async (t) => {
    const { upstream, ask } = await stage(t);
    const bytes = randomBytes(4_000_000);
    upstream.script = (request, response, seen) => {
      if (seen.method !== 'PUT') return upstream.usual(request, response, seen);
      response.writeContinue();
      request.once('data', () => {
        sendError(response, 401, 'UNAUTHORIZED', 'expired');
        request.resume();
      });
      return undefined;
    };
    const reply = await ask('PUT', `${await start(ask)}&digest=${digestOf(bytes)}`, { body: bytes });
    assert.deepEqual([...outcome(reply), reply.headers['retry-after']], [503, 'UNAVAILABLE', '1']);
    assert.equal(upstream.seen.filter(({ method }) => method === 'PUT').length, 1);
    upstream.script = () => 'usual';
    const tokens = upstream.scopes.length;
    await upload(ask, bytes);
    assert.equal(upstream.scopes.length, tokens + 1);
  });

  test('that knows no 100 Continue still gets the body', async (t) => {
    const { upstream, ask } = await stage(t);
    upstream.script = async (request, response, seen) => {
      delete request.headers.expect;
      if (seen.method === 'PATCH') return sendError(response, 417, 'UNSUPPORTED', 'no expectations');
      await upstream.usual(request, response, seen);
    };
    const bytes = randomBytes(2000);
    // 417 to a request that expects nothing is the answer.
    assert.deepEqual(outcome(await ask('PATCH', await start(ask), { body: bytes })), [417, 'UNSUPPORTED']);
    assert.equal(upstream.seen.filter(({ method }) => method === 'PATCH').length, 2);
    await upload(ask, bytes);
  });

  test('by losing the upload says so', async (t) => {
    const { upstream, ask } = await stage(t);
    const location = await start(ask);
    upstream.loseUploads();
    const body = Buffer.from('x');
    assert.deepEqual(outcome(await ask('PATCH', location, { body })), [404, 'BLOB_UPLOAD_UNKNOWN']);
    assert.deepEqual(outcome(await ask('GET', location)), [404, 'BLOB_UPLOAD_UNKNOWN']);
  });

  test('by refusing a blob that has another digest is heard, and nothing is kept under it', async (t) => {
    const { ask, stage: made } = await stage(t);
    const digest = digestOf(Buffer.from('right'));
    const reply = await ask('PUT', `${await start(ask)}&digest=${digest}`, { body: Buffer.from('wrong') });
    assert.deepEqual(outcome(reply), [400, 'DIGEST_INVALID']);
    assert.equal(await made.world.store.stat(digest), undefined);
  });

  test('by accepting a wrong blob, or naming another, never makes it a blob of this server', async (t) => {
    const { upstream, ask, stage: made } = await stage(t);
    const right = digestOf(Buffer.from('right'));
    upstream.script = async (request, response, seen) => {
      if (seen.method !== 'PUT') return upstream.usual(request, response, seen);
      await receive(request, response, seen);
      send(response, 201, seen.url.includes('named') ? { 'docker-content-digest': digestOf(Buffer.from('else')) } : {});
    };
    for (const [body, query] of [
      ['wrong', ''],
      ['right', '&named'],
    ] as const) {
      const location = (await start(ask)) + query;
      const reply = await ask('PUT', `${location}&digest=${right}`, { body: Buffer.from(body) });
      assert.equal(reply.status, 201);
      if (body === 'wrong') assert.equal(await made.world.store.stat(right), undefined);
    }
  });

  test('by being slow to answer is waited for, and by never answering is not', async (t) => {
    const { upstream, ask } = await stage(t, { transport: { responseHeaderTimeout: 300 } });
    upstream.script = async (request, response, seen) => {
      if (seen.method === 'PUT') {
        await receive(request, response, seen);
        setTimeout(() => send(response, 201, {}), 900);
        return;
      }
      if (seen.method === 'GET' && seen.url.includes('uploads')) return;
      await upstream.usual(request, response, seen);
    };
    const body = Buffer.from('large');
    assert.equal((await ask('PUT', `${await start(ask)}&digest=${digestOf(body)}`, { body })).status, 201);
    assert.deepEqual(outcome(await ask('GET', await start(ask))), [503, 'UNAVAILABLE']);
  });

  test('is not to blame for a client that leaves or sends no more', async (t) => {
    const { ask, stage: made } = await stage(t, { transport: { responseHeaderTimeout: 300 } });
    for (let round = 0; round < 8; round += 1) {
      async function* leaves() {
        yield Buffer.alloc(1000);
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw new Error('leaves');
      }
      const location = await start(ask);
      await assert.rejects(ask('PATCH', location, { body: leaves(), headers: { 'transfer-encoding': 'chunked' } }));
    }
    const { promise: never, resolve } = Promise.withResolvers<void>();
    async function* stalls() {
      yield Buffer.alloc(1000);
      await never;
    }
    const stalled = await ask('PATCH', await start(ask), {
      body: stalls(),
      headers: { 'transfer-encoding': 'chunked' },
    });
    resolve();
    assert.deepEqual(outcome(stalled), [408, 'BLOB_UPLOAD_INVALID']);
    assert.deepEqual(made.seen('upstream.health'), []);
    await upload(ask, Buffer.from('still taken'));
  });
});

describe('an upload that goes on elsewhere', () => {
  test('at another host gets the body, and no credential', async (t) => {
    await using storage = await PushUpstream.start();
    const upstream = await PushUpstream.start({ credentials: ACCOUNT, locate: (path) => `${storage.url}${path}` });
    t.after(() => upstream.close());
    const headers = { 'x-key': 'operator' };
    const { ask } = await pushStage(t, { upstreams: [{ url: upstream.url, credentials: ACCOUNT, headers }] });
    storage.script = async (request, response, seen) => {
      await receive(request, response, seen);
      if (seen.method === 'PATCH') return send(response, 202, { location: `${storage.url}/next?sig=1`, range: '0-4' });
      send(response, 201, {});
    };
    const bytes = Buffer.from('layer');
    const patched = await ask('PATCH', await start(ask), { body: bytes });
    assert.equal(patched.status, 202);
    const done = await ask('PUT', `${patched.headers['location']}&digest=${digestOf(bytes)}`);
    assert.equal(done.status, 201);
    assert.deepEqual(
      storage.seen.map(({ authorization, headers }) => [authorization, headers['x-key']]),
      [
        [undefined, undefined],
        [undefined, undefined],
      ],
    );
    assert.match(storage.seen.at(-1)?.url ?? '', /^\/next\?sig=1&digest=sha256%3A/);
    await upstream.close();
    assert.equal((await ask('GET', `${REPOSITORY}/blobs/${digestOf(bytes)}`)).headers['x-cache'], 'HIT');
  });

  test('by a redirect that keeps the method is followed before the body was read, and not after', async (t) => {
    const { upstream, ask } = await stage(t);
    let isRead = false;
    upstream.script = async (request, response, seen) => {
      if (seen.method !== 'PUT' || seen.url.includes('moved')) return upstream.usual(request, response, seen);
      if (isRead) await receive(request, response, seen);
      send(response, 307, { location: `${seen.url}&moved` });
    };
    const bytes = randomBytes(100_000);
    const done = await ask('PUT', `${await start(ask)}&digest=${digestOf(bytes)}`, { body: bytes });
    assert.equal(done.status, 201);
    isRead = true;
    const lost = await ask('PUT', `${await start(ask)}&digest=${digestOf(bytes)}`, { body: bytes });
    assert.deepEqual(outcome(lost), [502, 'UNAVAILABLE']);
  });

  test('where no request may go is refused', async (t) => {
    for (const location of ['ftp://example.com/x', 'http://user:word@example.com/x', '']) {
      const { ask } = await stage(t, { upstream: { credentials: ACCOUNT, locate: () => location } });
      const reply = await ask('POST', `${REPOSITORY}/blobs/uploads/`);
      if (location !== '') assert.deepEqual(outcome(reply), [502, 'UNAVAILABLE'], location);
    }
  });
});

describe('a disk that takes nothing', () => {
  test('costs the keeping, and never the push', async (t) => {
    const { upstream, ask, stage: made } = await stage(t);
    const bytes = randomBytes(3_000_000);
    made.world.store.begin = () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    const digest = await upload(ask, bytes);
    assert.ok(upstream.blobs.get(`ours/app ${digest}`)?.equals(bytes));
    assert.equal(await made.world.store.stat(digestOf(bytes)), undefined);
    const pushed = image(randomBytes(10));
    assert.equal((await pushImage(ask, pushed, 'v1')).status, 201);
  });
});

describe('a cache', () => {
  test('that takes no blob of this size, or nothing at all, costs the keeping alone', async (t) => {
    for (const world of [{ maxSize: 1_000_000 }, { keep: false }, { tags: 'never' }] as const) {
      const { upstream, ask, stage: made } = await stage(t, { world });
      const pushed = image(randomBytes(2_000_000));
      assert.equal((await pushImage(ask, pushed, 'v1')).status, 201);
      const isKept = (await made.world.store.stat(digestOf(pushed.layer))) !== undefined;
      assert.equal(isKept, 'tags' in world);
      const pulled = await ask('GET', `${REPOSITORY}/manifests/v1`, { as: 'bob' });
      assert.equal(pulled.headers['docker-content-digest'], pushed.digest);
      const layer = await ask('GET', `${REPOSITORY}/blobs/${digestOf(pushed.layer)}`, { as: 'bob' });
      assert.ok(layer.body.equals(pushed.layer));
      await upstream.close();
    }
  });

  test('that closes gives up what passes, and the push goes on', async (t) => {
    const { upstream, ask, stage: made } = await stage(t, { world: { on: 'filesystem' } });
    const bytes = randomBytes(100);
    const location = (await ask('PATCH', await start(ask), { body: bytes.subarray(0, 50) })).headers['location'] ?? '';
    assert.equal((await made.world.leftOvers()).length, 1);
    await made.world.cache.pushed.close();
    assert.deepEqual(await made.world.leftOvers(), []);
    const done = await ask('PUT', `${location}&digest=${digestOf(bytes)}`, { body: bytes.subarray(50) });
    assert.equal(done.status, 201);
    assert.ok(upstream.blobs.get(`ours/app ${digestOf(bytes)}`)?.equals(bytes));
  });
});

describe('a manifest', () => {
  test('that is too large, missing, or of another digest never reaches the upstream', async (t) => {
    const { upstream, ask } = await stage(t);
    const headers = { 'content-type': IMAGE };
    const large = Buffer.alloc(5 * 1024 * 1024 + 1, 32);
    async function* unannounced() {
      yield large;
    }
    const at = `${REPOSITORY}/manifests`;
    assert.deepEqual(outcome(await ask('PUT', `${at}/v1`, { headers, body: large })), [413, 'SIZE_INVALID']);
    assert.deepEqual(
      outcome(
        await ask('PUT', `${at}/v1`, { headers: { ...headers, 'transfer-encoding': 'chunked' }, body: unannounced() }),
      ),
      [413, 'SIZE_INVALID'],
    );
    assert.deepEqual(outcome(await ask('PUT', `${at}/v1`, { headers })), [400, 'MANIFEST_INVALID']);
    const other = digestOf(Buffer.from('other'));
    const body = Buffer.from('{}');
    assert.deepEqual(outcome(await ask('PUT', `${at}/${other}`, { headers, body })), [400, 'DIGEST_INVALID']);
    assert.deepEqual(outcome(await ask('PUT', `${at}/v1?tag=v2`, { headers, body })), [400, 'MANIFEST_INVALID']);
    assert.deepEqual(outcome(await ask('PUT', `${at}/${digestOf(body)}?tag=..%2F`, { headers, body })), [
      400,
      'MANIFEST_INVALID',
    ]);
    assert.deepEqual(upstream.seen, []);
  });

  test('whose blobs the upstream lacks is refused in its words', async (t) => {
    const { ask } = await stage(t);
    const { manifest } = image(randomBytes(10));
    const reply = await ask('PUT', `${REPOSITORY}/manifests/v1`, {
      headers: { 'content-type': IMAGE },
      body: manifest,
    });
    assert.deepEqual(outcome(reply), [400, 'MANIFEST_BLOB_UNKNOWN']);
    assert.equal((await ask('GET', `${REPOSITORY}/manifests/v1`)).status, 404);
  });
});
