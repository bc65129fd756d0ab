import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { ACCOUNT, IMAGE, image } from '../support/push-client.ts';
import { PushUpstream } from '../support/push-upstream.ts';

// The whole server, by its configuration: who may push where, and what a reload and a restart leave of an upload.

interface Stage {
  readonly upstream: PushUpstream;
  readonly config: Readonly<Record<string, unknown>>;
  readonly dir: string;
  readonly start: () => Promise<Mirror>;
}

async function stage(t: TestContext): Promise<Stage> {
  const workspace = await Workspace.open();
  t.after(() => workspace.close());
  const upstream = await PushUpstream.start({ credentials: ACCOUNT });
  t.after(() => upstream.close());
  const htpasswd = workspace.path('htpasswd');
  await writeFile(htpasswd, htpasswdOf('alice', 'bob'));
  const config = {
    registries: {
      'ghcr.io': {
        upstreams: [{ url: upstream.url, credentials: ACCOUNT }],
        push: ['ours/**'],
        immutable_tags: ['v*'],
      },
    },
    access: {
      htpasswd,
      rules: [
        { who: 'alice', may: ['pull', 'push', 'delete'], on: ['ghcr.io/**'] },
        { who: 'bob', may: ['pull'], on: ['ghcr.io/**'] },
      ],
    },
  };
  const dir = workspace.path('cache');
  return { upstream, config, dir, start: () => startMirror(config, { dir }) };
}

function ask(
  mirror: Mirror,
  method: string,
  path: string,
  { as = 'alice', body, type }: { as?: string; body?: Buffer; type?: string } = {},
) {
  const headers: Record<string, string> = { ...(as === '' ? {} : basic(as)) };
  if (type !== undefined) headers['content-type'] = type;
  if (body !== undefined) headers['content-length'] = String(body.length);
  return fetch(new URL(path, mirror.url), {
    method,
    headers,
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  });
}

test('a user with the right pushes through and pulls a hit; others do not, and nothing of them reaches the upstream', async (t) => {
  const { upstream, start } = await stage(t);
  await using mirror = await start();
  for (const [as, status] of [
    ['', 401],
    ['bob', 403],
  ] as const) {
    for (const [method, path] of [
      ['POST', '/v2/ghcr.io/ours/app/blobs/uploads/'],
      ['PUT', '/v2/ghcr.io/ours/app/manifests/1'],
      ['DELETE', '/v2/ghcr.io/ours/app/manifests/1'],
    ] as const) {
      assert.equal((await ask(mirror, method, path, { as })).status, status, `${as} ${method}`);
    }
  }
  assert.deepEqual(upstream.seen, []);
  assert.equal((await ask(mirror, 'POST', '/v2/ghcr.io/theirs/app/blobs/uploads/')).status, 405);
  const pushed = image(randomBytes(100_000));
  for (const bytes of [pushed.layer, pushed.config]) {
    const begun = await ask(mirror, 'POST', '/v2/ghcr.io/ours/app/blobs/uploads/');
    assert.equal(begun.status, 202);
    const done = await ask(mirror, 'PUT', `${begun.headers.get('location')}&digest=${digestOf(bytes)}`, {
      body: bytes,
    });
    assert.equal(done.status, 201);
  }
  const put = (body: Buffer) => ask(mirror, 'PUT', '/v2/ghcr.io/ours/app/manifests/v1', { body, type: IMAGE });
  assert.equal((await put(pushed.manifest)).status, 201);
  assert.equal((await put(pushed.manifest)).status, 201);
  assert.equal((await put(Buffer.from(`${pushed.manifest.toString()} `))).status, 403);
  await upstream.close();
  for (const path of ['manifests/v1', `blobs/${digestOf(pushed.layer)}`]) {
    const pulled = await ask(mirror, 'GET', `/v2/ghcr.io/ours/app/${path}`, { as: 'bob' });
    assert.deepEqual([pulled.status, pulled.headers.get('x-cache')], [200, 'HIT']);
  }
  const logged = JSON.stringify(mirror.log);
  assert.ok(!logged.includes('_state=') && !logged.includes(ACCOUNT.password));
});

test('an upload outlives a reload with its bytes, and a restart without them', async (t) => {
  const { upstream, config, dir, start } = await stage(t);
  const bytes = [randomBytes(20), randomBytes(20)] as const;
  const next = async (mirror: Mirror, location: string, part: Buffer): Promise<string> => {
    const patched = await ask(mirror, 'PATCH', location, { body: part });
    assert.equal(patched.status, 202);
    return patched.headers.get('location') ?? '';
  };
  const begin = async (mirror: Mirror, part: Buffer): Promise<string> =>
    next(
      mirror,
      (await ask(mirror, 'POST', '/v2/ghcr.io/ours/app/blobs/uploads/')).headers.get('location') ?? '',
      part,
    );
  const end = async (mirror: Mirror, location: string, [whole, part]: readonly [Buffer, Buffer]): Promise<void> => {
    const done = await ask(mirror, 'PUT', `${location}&digest=${digestOf(whole)}`, { body: part });
    assert.equal(done.status, 201);
  };
  let location: string;
  {
    await using mirror = await start();
    const first = await begin(mirror, bytes[0].subarray(0, 10));
    assert.equal((await mirror.reload({ ...config, default_registry: 'ghcr.io' })).outcome, 'changed');
    await end(mirror, first, [bytes[0], bytes[0].subarray(10)]);
    const pulled = await ask(mirror, 'GET', `/v2/ghcr.io/ours/app/blobs/${digestOf(bytes[0])}`);
    assert.equal(pulled.headers.get('x-cache'), 'HIT');
    location = await begin(mirror, bytes[1].subarray(0, 10));
  }
  assert.equal((await stat(join(dir, 'push.key'))).mode & 0o777, 0o600);
  assert.equal((await readFile(join(dir, 'push.key'))).length, 32);
  {
    await using mirror = await start();
    await end(mirror, location, [bytes[1], bytes[1].subarray(10)]);
    assert.ok(upstream.blobs.get(`ours/app ${digestOf(bytes[1])}`)?.equals(bytes[1]));
    const pulled = await ask(mirror, 'GET', `/v2/ghcr.io/ours/app/blobs/${digestOf(bytes[1])}`);
    assert.equal(pulled.headers.get('x-cache'), 'MISS');
  }
});
