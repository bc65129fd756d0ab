import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { digestOf, MEDIA_TYPES } from '../../src/oci/index.ts';
import { buildImage, buildReferrer, type Content, jsonContent, noise, platformOf } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { pushBlob, pushImage, pushManifest, refusalOf, send } from '../support/push.ts';
import { type RawRequest, type RawResponse, rawRequest } from '../support/raw-request.ts';

// From the outside, with what is published about other registries that take pushes: each behaviour that has bitten one, and each
// advisory, is tried here afresh. What a client may send and no client should is in hosting-malformed.test.ts.

const image = buildImage({ seed: 'hosting-attacks', layers: [600, 700], architectures: ['amd64', 'arm64'] });
const amd64 = platformOf(image, 'amd64');
const layer = amd64.layers[0] as Content;
const alice = basic('alice');
const bob = basic('bob');
const WEB = 'apps/team/web';
const SECRET = 'apps/secret/app';
const PUBLIC_URL = 'https://registry.example.com';

let scratch: string;
let config: Record<string, unknown>;
let mirror: Mirror;

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'entrepot-hosting-attacks-'));
  const htpasswd = join(scratch, 'htpasswd');
  await writeFile(htpasswd, htpasswdOf('alice', 'bob', 'carol', 'internal-gc'));
  config = {
    default_registry: 'apps',
    public_url: PUBLIC_URL,
    registries: { apps: { hosted: true, immutable_tags: ['v*'] } },
    access: {
      htpasswd,
      rules: [
        { who: 'alice', may: ['pull', 'push', 'delete', 'catalog', 'status'], on: ['apps/**'] },
        { who: 'bob', may: ['pull', 'push'], on: ['apps/team/**', 'apps/bob/**'] },
        { who: ['carol', 'token:ci'], may: ['pull', 'push', 'delete', 'catalog'], on: ['apps/carol/**'] },
        { who: 'anonymous', may: ['pull'], on: ['**'] },
      ],
    },
  };
  mirror = await startMirror(config);
  await pushImage(at(WEB), image);
  await pushImage(at(SECRET), buildImage({ seed: 'secret', layers: [500], architectures: ['amd64'] }));
});
after(async () => {
  await mirror.stop();
  await rm(scratch, { recursive: true, force: true });
});

let made = 0;
/** A repository that nothing was pushed to. */
const fresh = (): string => `apps/team/fresh-${(made += 1)}`;
const at = (repository: string, headers: Record<string, string> = alice, host = mirror.host) => ({
  host,
  repository,
  headers,
});
const ask = (method: string, path: string, { headers = alice, body, on = mirror }: Ask = {}): Promise<RawResponse> =>
  send(on.host, method, path, { headers: { ...headers }, ...(body === undefined ? {} : { body }) });
interface Ask {
  readonly headers?: NonNullable<RawRequest['headers']>;
  readonly body?: Buffer;
  readonly on?: Mirror;
}
const uploads = (repository: string, query = ''): string => `/v2/${repository}/blobs/uploads/${query}`;
const manifestOf = (repository: string, reference: string): string => `/v2/${repository}/manifests/${reference}`;
const blobOf = (repository: string, digest: string): string => `/v2/${repository}/blobs/${digest}`;

async function begin(repository: string, headers = alice): Promise<string> {
  const { status, headers: answered } = await ask('POST', uploads(repository), { headers });
  assert.equal(status, 202);
  return answered['location'] ?? '';
}

async function pushAmd64(repository: string, reference: string, headers = alice): Promise<RawResponse> {
  for (const blob of [amd64.config, ...amd64.layers]) {
    assert.equal((await pushBlob(at(repository, headers), blob)).status, 201);
  }
  return pushManifest(at(repository, headers), amd64.manifest, reference);
}

const code = (response: RawResponse): string => `${response.status} ${refusalOf(response).code}`;

describe('behaviours that have bitten registries', () => {
  test('1: a blob that was acknowledged is there for its manifest, although a collection ran between the two', async () => {
    const dir = await mkdtemp(join(scratch, 'cache-'));
    const first = await startMirror(config, { dir });
    for (const blob of [amd64.config, ...amd64.layers]) await pushBlob(at(WEB, alice, first.host), blob);
    await first.stop();
    // A collection runs at the start.
    await using second = await startMirror(config, { dir });
    assert.equal((await pushManifest(at(WEB, alice, second.host), amd64.manifest, 'latest')).status, 201);
  });

  test('2: what was deleted is said to be missing at once, and is taken again', async () => {
    const repository = fresh();
    await pushBlob(at(repository), layer);
    assert.equal((await ask('HEAD', blobOf(repository, layer.digest))).status, 200);
    assert.equal((await ask('DELETE', blobOf(repository, layer.digest))).status, 202);
    assert.equal((await mirror.head(blobOf(repository, layer.digest), alice)).status, 404);
    const refused = await pushManifest(at(repository), amd64.manifest, 'latest');
    assert.equal(refusalOf(refused).code, 'MANIFEST_BLOB_UNKNOWN');
    assert.equal((await pushAmd64(repository, 'latest')).status, 201);
    assert.deepEqual((await mirror.get(blobOf(repository, layer.digest), alice)).body, layer.bytes);
  });

  test('3: a mount from where the client may not pull is an upload like any other', async () => {
    const [blob] = buildImage({ seed: 'secret', layers: [500], architectures: ['amd64'] }).blobs as [Content];
    const answers = [blob.digest, digestOf(Buffer.from('nowhere'))].map((digest) =>
      ask('POST', uploads('apps/bob/app', `?mount=${digest}&from=${SECRET}`), { headers: bob }),
    );
    for (const { status, headers } of await Promise.all(answers)) {
      assert.equal(status, 202);
      const ended = await ask('PUT', `${headers['location']}?digest=${layer.digest}`, {
        headers: bob,
        body: layer.bytes,
      });
      assert.equal(ended.status, 201);
    }
    assert.equal((await mirror.get(blobOf('apps/bob/app', blob.digest), bob)).status, 404);
  });

  test('4: a mount without a source looks only where the client may pull', async () => {
    const secret = buildImage({ seed: 'secret', layers: [500], architectures: ['amd64'] }).blobs[0] as Content;
    const mount = (digest: string, headers: Record<string, string>) =>
      ask('POST', uploads('apps/team/mounted', `?mount=${digest}`), { headers });
    assert.equal((await mount(secret.digest, bob)).status, 202);
    assert.equal((await mount(layer.digest, bob)).status, 201);
    assert.equal((await mount(secret.digest, alice)).status, 201);
  });

  test('5: a chunk out of order is refused with 416, in a PATCH and in the last PUT, and the session goes on', async () => {
    const location = await begin(WEB);
    const half = 300;
    const chunk = (method: string, path: string, from: number, to: number) =>
      ask(method, path, {
        headers: { ...alice, 'content-range': `${from}-${to - 1}` },
        body: layer.bytes.subarray(from, to),
      });
    assert.equal((await chunk('PATCH', location, 0, half)).status, 202);
    const end = `${location}?digest=${layer.digest}`;
    const refusals = [
      await chunk('PATCH', location, half + 1, layer.size),
      await chunk('PATCH', location, 0, half),
      await chunk('PUT', end, half + 1, layer.size),
    ];
    for (const refused of refusals) {
      assert.equal(refused.status, 416);
      assert.equal(refused.headers['range'], `0-${half - 1}`);
      assert.equal(refused.headers['location'], location);
    }
    const shown = await mirror.get(location, alice);
    assert.deepEqual([shown.status, shown.headers['range']], [204, `0-${half - 1}`]);
    assert.equal((await chunk('PUT', end, half, layer.size)).status, 201);
    assert.equal((await mirror.get(location, alice)).status, 404);
  });

  test('6: Content-Range with and without a unit; a body of another length changes nothing', async () => {
    const bytes = Buffer.from('0123456789');
    for (const [range, status] of [
      ['0-9', 202],
      ['bytes 0-9/10', 202],
      ['bytes 0-9/*', 202],
      ['0-8', 400],
      ['0-10', 400],
      ['9-0', 400],
      ['-9', 400],
      ['0-', 400],
      ['0-99999999999999999999', 400],
      ['0x0-0x9', 400],
      ['0-9, 0-9', 400],
    ] as const) {
      const location = await begin(WEB);
      const answer = await ask('PATCH', location, { headers: { ...alice, 'content-range': range }, body: bytes });
      assert.equal(answer.status, status, range);
      const shown = await mirror.get(location, alice);
      assert.deepEqual([shown.status, shown.headers['range']], [204, status === 202 ? '0-9' : '0-0'], range);
      await ask('DELETE', location);
    }
  });

  test('7: a stream and an empty PUT, a POST and a PUT, a single POST, and chunks', async () => {
    const bytes = noise('ways', 3000);
    const digest = digestOf(bytes);
    const repository = fresh();
    const stream = await begin(repository);
    const chunked = Buffer.concat([Buffer.from('bb8\r\n'), bytes, Buffer.from('\r\n0\r\n\r\n')]);
    const headers = { ...alice, 'transfer-encoding': 'chunked' };
    assert.equal(
      (await rawRequest(mirror.host, { method: 'PATCH', path: stream, headers, body: chunked })).status,
      202,
    );
    assert.equal((await ask('PUT', `${stream}?digest=${digest}`)).status, 201);
    assert.equal((await pushBlob(at(fresh()), { digest, bytes })).status, 201);
    assert.equal((await ask('POST', uploads(fresh(), `?digest=${digest}`), { body: bytes })).status, 201);
    assert.deepEqual((await mirror.get(blobOf(repository, digest), alice)).body, bytes);
  });

  test('8: sessions are bounded, their end makes room, and the refusal says when to come again', async () => {
    const repository = fresh();
    const open: string[] = [];
    let refused: RawResponse | undefined;
    for (let n = 0; n < 150 && refused === undefined; n += 1) {
      const answer = await ask('POST', uploads(repository));
      if (answer.status === 202) open.push(answer.headers['location'] ?? '');
      else refused = answer;
    }
    assert.ok(refused !== undefined);
    assert.equal(code(refused), '429 TOOMANYREQUESTS');
    assert.ok(Number(refused.headers['retry-after']) > 0);
    assert.equal((await ask('DELETE', open[0] ?? '')).status, 204);
    assert.equal((await ask('POST', uploads(repository))).status, 202);
    for (const location of open.slice(1)) await ask('DELETE', location);
    // The other repositories of the same client went on.
    assert.equal((await ask('POST', uploads(fresh()))).status, 202);
  });

  test('9: an upload may end with sha512 that began without a word of it, also after a restart', async () => {
    const dir = await mkdtemp(join(scratch, 'cache-'));
    const bytes = noise('sha512', 5000);
    const digest = digestOf(bytes, 'sha512');
    const first = await startMirror(config, { dir });
    const { headers } = await ask('POST', uploads(WEB), { on: first });
    const location = headers['location'] ?? '';
    await ask('PATCH', location, { body: bytes.subarray(0, 2000), on: first });
    await first.stop();
    await using second = await startMirror(config, { dir });
    assert.equal(
      (await ask('PUT', `${location}?digest=${digest}`, { body: bytes.subarray(2000), on: second })).status,
      201,
    );
    assert.deepEqual((await second.get(blobOf(WEB, digest), alice)).body, bytes);
  });

  test('10: what was acknowledged is on the disk: a copy of it that the server knows nothing of has it all', async () => {
    const dir = await mkdtemp(join(scratch, 'cache-'));
    const copy = await mkdtemp(join(scratch, 'copy-'));
    await using first = await startMirror(config, { dir });
    await pushImage(at(WEB, alice, first.host), image);
    await cp(join(dir, 'hosted'), join(copy, 'hosted'), { recursive: true });
    await using second = await startMirror(config, { dir: copy });
    for (const { digest, bytes } of image.manifests) {
      assert.deepEqual((await second.get(manifestOf(WEB, digest), alice)).body, bytes);
    }
  });

  test('11: a push by digest with ?tag= moves no tag that a push by tag may not (zot #4266)', async () => {
    const repository = fresh();
    await pushAmd64(repository, 'v1', bob);
    await pushManifest(at(repository, bob), amd64.manifest, 'free');
    const other = platformOf(image, 'arm64');
    for (const blob of [other.config, ...other.layers]) await pushBlob(at(repository, bob), blob);
    const { digest } = other.manifest;
    for (const reference of [`${digest}?tag=new&tag=v1&tag=free`, 'v1', 'free?tag=v1', `${digest}?tag=v1&tag=v1`]) {
      assert.equal(code(await pushManifest(at(repository, bob), other.manifest, reference)), '409 DENIED', reference);
    }
    for (const tag of ['v1', 'free']) {
      assert.deepEqual((await mirror.get(manifestOf(repository, tag), bob)).body, amd64.manifest.bytes, tag);
    }
    for (const path of ['new', digest]) assert.equal((await mirror.get(manifestOf(repository, path), bob)).status, 404);
  });

  test('12: a tag is deleted alone, a digest with its tags, and no manifest that an index names', async () => {
    const repository = fresh();
    await pushImage(at(repository), image, 'a');
    await pushManifest(at(repository), image.index, 'b');
    const remove = (reference: string) => ask('DELETE', manifestOf(repository, reference));
    const status = async (reference: string) => (await mirror.get(manifestOf(repository, reference), alice)).status;
    assert.equal((await remove('a')).status, 202);
    assert.deepEqual([await status('a'), await status('b'), await status(image.index.digest)], [404, 200, 200]);
    assert.equal(code(await remove(amd64.manifest.digest)), '405 DENIED');
    assert.equal(code(await ask('DELETE', blobOf(repository, layer.digest))), '405 DENIED');
    assert.equal((await remove(image.index.digest)).status, 202);
    assert.deepEqual([await status('b'), await status(amd64.manifest.digest)], [404, 200]);
    assert.equal((await remove(amd64.manifest.digest)).status, 202);
    assert.equal(code(await remove(amd64.manifest.digest)), '404 MANIFEST_UNKNOWN');
  });

  test('13: referrers are listed with what the manifest says, also without their subject', async () => {
    const repository = fresh();
    const { manifest, blobs } = buildReferrer(amd64.manifest);
    for (const blob of blobs) await pushBlob(at(repository), blob);
    const pushed = await pushManifest(at(repository), manifest, manifest.digest);
    assert.equal(pushed.headers['oci-subject'], amd64.manifest.digest);
    const list = async (query = '') =>
      await mirror.get(`/v2/${repository}/referrers/${amd64.manifest.digest}${query}`, alice);
    const { manifests } = JSON.parse((await list()).body.toString()) as { manifests: Record<string, unknown>[] };
    assert.deepEqual(
      manifests.map(({ digest, artifactType }) => [digest, artifactType]),
      [[manifest.digest, 'application/vnd.example.note']],
    );
    assert.match((await list('?artifactType=application/none')).body.toString(), /"manifests":\[\]/);
    assert.equal((await list('?artifactType=%22')).status, 400);
    assert.equal((await mirror.get(`/v2/${repository}/referrers/sha256:abc`, alice)).status, 400);
    assert.equal((await mirror.get(`/v2/${fresh()}/referrers/${amd64.manifest.digest}`, alice)).status, 200);
  });

  test('14: lists drop no name that begins another, and end', async () => {
    const repository = fresh();
    const tags = ['a', 'a-b', 'a.b', 'a0', 'A', 'a_b', 'ab'];
    assert.equal((await pushAmd64(repository, amd64.manifest.digest)).status, 201);
    await pushManifest(
      at(repository),
      amd64.manifest,
      `${amd64.manifest.digest}?${tags.map((tag) => `tag=${tag}`).join('&')}`,
    );
    const found: string[] = [];
    let path = `/v2/${repository}/tags/list?n=2`;
    for (let pages = 0; path !== '' && pages < 20; pages += 1) {
      const { headers, body } = await mirror.get(path, alice);
      found.push(...(JSON.parse(body.toString()) as { tags: string[] }).tags);
      path = /<([^>]*)>/.exec(headers['link'] ?? '')?.[1] ?? '';
    }
    assert.deepEqual(found, tags.toSorted());
    const none = await mirror.get(`/v2/${repository}/tags/list?n=0`, alice);
    assert.deepEqual([none.status, none.headers['link'], JSON.parse(none.body.toString()).tags], [200, undefined, []]);
    const past = await mirror.get(`/v2/${repository}/tags/list?last=zzz`, alice);
    assert.deepEqual(JSON.parse(past.body.toString()).tags, []);
    assert.equal((await mirror.get(`/v2/${fresh()}/tags/list`, alice)).status, 404);
  });

  test('15: a manifest of 4 MiB is taken; a larger one, a mixed one and one of another schema are not', async () => {
    const repository = fresh();
    await pushAmd64(repository, 'latest');
    const withNote = (size: number): Content =>
      jsonContent(MEDIA_TYPES.ociManifest, {
        ...JSON.parse(amd64.manifest.bytes.toString()),
        annotations: { note: 'n'.repeat(size) },
      });
    assert.equal((await pushManifest(at(repository), withNote(4 * 1024 * 1024 - 5000), 'large')).status, 201);
    const large = await pushManifest(at(repository), withNote(20 * 1024 * 1024), 'huge').catch(() => undefined);
    assert.ok(large === undefined || large.status === 413);
    const mixed = { ...JSON.parse(amd64.manifest.bytes.toString()), manifests: [] };
    for (const value of [mixed, { ...mixed, manifests: undefined, schemaVersion: 3 }]) {
      const refused = await pushManifest(at(repository), jsonContent(MEDIA_TYPES.ociManifest, value), 'odd');
      assert.equal(code(refused), '400 MANIFEST_INVALID');
    }
  });

  test('16: the date of a manifest is that of its push', async () => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    const repository = fresh();
    await pushAmd64(repository, 'latest');
    const date = Date.parse(
      (await mirror.head(manifestOf(repository, 'latest'), alice)).headers['last-modified'] ?? '',
    );
    assert.ok(date >= before && date <= Date.now(), String(date));
  });

  test('17: no address in an answer is made of what a client says that the host is (CVE-2025-63761)', async () => {
    const evil = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      forwarded: 'host=evil.example;proto=https',
    };
    const blob = await ask('POST', uploads(WEB), { headers: { ...alice, ...evil } });
    assert.match(blob.headers['location'] ?? '', /^\/v2\/apps\/team\/web\/blobs\/uploads\//);
    const anonymous = await ask('POST', uploads(WEB), { headers: evil });
    assert.match(anonymous.headers['www-authenticate'] ?? '', new RegExp(`realm="${PUBLIC_URL}/token"`));
    const manifest = await ask('PUT', manifestOf(WEB, 'latest'), {
      headers: { ...alice, ...evil, 'content-type': image.index.mediaType },
      body: image.index.bytes,
    });
    for (const { headers, body } of [blob, anonymous, manifest]) {
      assert.doesNotMatch(`${JSON.stringify(headers)}${body.toString()}`, /evil/);
    }
  });

  test('18: ranges of a hosted blob: one that can be, none that can be, and another unit', async () => {
    const range = async (value: string) => mirror.get(blobOf(WEB, layer.digest), { ...alice, range: value });
    const part = await range('bytes=1-3');
    assert.deepEqual([part.status, part.body], [206, layer.bytes.subarray(1, 4)]);
    assert.equal((await range('bytes=500000-')).status, 416);
    assert.ok([200, 416].includes((await range('bytes=500-0')).status));
    assert.equal((await range('lines=1-3')).status, 200);
  });

  test('19: no answer to a push has a warning that clients would print', async () => {
    const repository = fresh();
    for (const answer of [await pushAmd64(repository, 'latest'), await pushBlob(at(repository), layer)]) {
      assert.equal(answer.headers['warning'], undefined);
    }
  });

  test('20: an immutable tag takes the same digest again; a tag is moved by compare and swap', async () => {
    const repository = fresh();
    assert.equal((await pushAmd64(repository, 'v1')).status, 201);
    assert.equal((await pushManifest(at(repository), amd64.manifest, 'v1')).status, 201);
    const put = (headers: Record<string, string>) =>
      pushManifest(at(repository, { ...alice, ...headers }), amd64.manifest, 'latest');
    assert.equal(code(await put({ 'if-match': `"${amd64.manifest.digest}"` })), '412 DENIED');
    assert.equal((await put({ 'if-none-match': '*' })).status, 201);
    assert.equal(code(await put({ 'if-none-match': '*' })), '412 DENIED');
    assert.equal((await put({ 'if-match': `"${amd64.manifest.digest}"` })).status, 201);
    for (const reference of ['v1', amd64.manifest.digest]) {
      assert.equal(code(await ask('DELETE', manifestOf(repository, reference))), '405 DENIED');
    }
  });
});

describe('advisories of registries that take pushes', () => {
  const secret = buildImage({ seed: 'secret', layers: [500], architectures: ['amd64'] });

  test('CVE-2024-39897: a digest that is known is no right to its bytes', async () => {
    for (const { digest } of secret.blobs) {
      for (const repository of ['apps/bob/app', WEB]) {
        assert.equal((await mirror.get(blobOf(repository, digest), bob)).status, 404);
      }
      assert.equal((await mirror.get(blobOf(SECRET, digest), bob)).status, 403);
    }
    const stolen = platformOf(secret, 'amd64').manifest;
    const answers = [
      stolen,
      jsonContent(
        stolen.mediaType,
        JSON.parse(stolen.bytes.toString().replaceAll(/sha256:[0-9a-f]{64}/g, `sha256:${'a'.repeat(64)}`)),
      ),
    ];
    for (const manifest of answers) {
      assert.equal(code(await pushManifest(at('apps/bob/app', bob), manifest, 'stolen')), '400 MANIFEST_BLOB_UNKNOWN');
    }
  });

  test('CVE-2026-35172: what was deleted stays away, although another repository has it again', async () => {
    const [one, two] = [fresh(), fresh()];
    await pushBlob(at(one), layer);
    await pushBlob(at(two), layer);
    assert.equal((await ask('DELETE', blobOf(one, layer.digest))).status, 202);
    await pushBlob(at(two), layer);
    await mirror.get(blobOf(two, layer.digest), alice);
    assert.equal((await mirror.get(blobOf(one, layer.digest), alice)).status, 404);
    assert.equal((await mirror.get(blobOf(two, layer.digest), alice)).status, 200);
  });

  test('CVE-2026-41888: the right to push deletes nothing, neither tag, manifest nor blob', async () => {
    for (const path of [manifestOf(WEB, 'latest'), manifestOf(WEB, image.index.digest), blobOf(WEB, layer.digest)]) {
      assert.equal(code(await ask('DELETE', path, { headers: bob })), '403 DENIED');
    }
    assert.equal((await mirror.get(manifestOf(WEB, 'latest'), bob)).status, 200);
  });

  test('CVE-2026-31801: what may only be made is not made again: an immutable tag by every way to move it', async () => {
    const repository = fresh();
    await pushAmd64(repository, 'v1');
    const other = platformOf(image, 'arm64');
    for (const blob of [other.config, ...other.layers]) await pushBlob(at(repository), blob);
    const way = (headers: Record<string, string>, reference = 'v1') =>
      pushManifest(at(repository, { ...alice, ...headers }), other.manifest, reference);
    assert.equal((await way({ 'if-match': `"${amd64.manifest.digest}"` })).status, 409);
    assert.equal((await way({ 'if-match': '*' })).status, 409);
    assert.equal((await way({}, '%761')).status >= 400, true);
    assert.deepEqual((await mirror.get(manifestOf(repository, 'v1'), alice)).body, amd64.manifest.bytes);
  });

  test('CVE-2023-2253: a list of a thousand million entries is a list of what is there', async () => {
    for (const n of ['1000000000', '9'.repeat(30), '-1', '1e9']) {
      for (const path of [`/v2/_catalog?ns=apps&n=${n}`, `/v2/${WEB}/tags/list?n=${n}`]) {
        assert.ok([200, 400].includes((await mirror.get(path, alice)).status), path);
      }
    }
  });

  test('CVE-2017-11468: a manifest without an end is cut off', async () => {
    const headers = { ...alice, 'content-type': MEDIA_TYPES.ociManifest, 'transfer-encoding': 'chunked' };
    const part = Buffer.alloc(1024 * 1024, 0x20);
    const body = Buffer.concat(
      Array.from({ length: 12 }, () => [Buffer.from('100000\r\n'), part, Buffer.from('\r\n')]).flat(),
    );
    const answer = await rawRequest(mirror.host, {
      method: 'PUT',
      path: manifestOf(WEB, 'endless'),
      headers,
      body,
      timeout: 10_000,
    });
    assert.equal(code(answer), '413 SIZE_INVALID');
  });

  test('GHSA-qq97-vm5h-rrhg: the same bytes are never a manifest and an index', async () => {
    const repository = fresh();
    await pushAmd64(repository, 'latest');
    const plain = { ...JSON.parse(amd64.manifest.bytes.toString()), mediaType: undefined };
    const { bytes } = jsonContent(MEDIA_TYPES.ociManifest, plain);
    const push = (mediaType: string) => pushManifest(at(repository), { mediaType, bytes }, 'confused');
    assert.equal(code(await push(MEDIA_TYPES.ociIndex)), '400 MANIFEST_INVALID');
    assert.equal((await push(MEDIA_TYPES.ociManifest)).status, 201);
    assert.equal(
      (await mirror.get(manifestOf(repository, 'confused'), { ...alice, accept: MEDIA_TYPES.ociIndex })).headers[
        'content-type'
      ],
      MEDIA_TYPES.ociManifest,
    );
  });

  test('Harbor #23675: a name that sounds internal has no rights by it', async () => {
    for (const [name, secretText] of [
      ['internal-gc', 'internal-gc-pw'],
      ['token:ci', 'x'],
      ['admin', 'Harbor12345'],
      ['', ''],
    ] as const) {
      const { status } = await pushBlob(at(WEB, basic(name, secretText)), layer);
      assert.ok([401, 403, 429].includes(status), `${name}: ${status}`);
    }
  });

  test('a token of a pipeline pushes where its scope and a rule are, and a revoked one nowhere', async () => {
    const socket = controlSocketPath(mirror.dir);
    const input = { name: 'ci', may: ['pull', 'push'] as const, on: ['apps/carol/*', WEB] };
    const { token } = await callControl(socket, OPERATIONS.tokenCreate, { input });
    const ci = basic('any', token);
    const push = async (repository: string) => (await pushBlob(at(repository, ci), layer)).status;
    assert.deepEqual(
      [await push('apps/carol/app'), await push('apps/carol/deep/app'), await push(WEB)],
      [201, 403, 403],
    );
    assert.equal((await ask('DELETE', blobOf('apps/carol/app', layer.digest), { headers: ci })).status, 403);
    const location = await begin('apps/carol/app', ci);
    // An id is no capability: neither for another client that may push there, nor after the token.
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
      const path = method === 'PUT' ? `${location}?digest=${layer.digest}` : location;
      assert.equal(code(await ask(method, path, { headers: basic('carol') })), '404 BLOB_UPLOAD_UNKNOWN', method);
    }
    await callControl(socket, OPERATIONS.tokenRevoke, { input: { name: 'ci' } });
    assert.equal((await ask('PATCH', location, { headers: ci, body: layer.bytes })).status, 401);
  });
});

test('all of this has left nothing behind: no answer was 500, and every file that is half there is an upload that is open', async () => {
  const statuses = mirror.accessLog().map(({ status }) => status);
  assert.deepEqual(
    statuses.filter((status) => status >= 500),
    [],
  );
  const warnings = mirror.log.filter(({ level }) => level === 'warn' || level === 'error').map(({ msg }) => msg);
  assert.deepEqual(
    warnings.filter((msg) => /hosted|upload|blob/i.test(msg)),
    [],
  );
  const { body } = await mirror.get('/metrics', alice);
  const open = Number(/^entrepot_uploads_open (\d+)$/m.exec(body.toString())?.[1]);
  const files = await readdir(join(mirror.dir, 'hosted', 'uploads'));
  assert.equal(files.filter((name) => /^[0-9a-f-]{36}$/.test(name)).length, open, files.join(' '));
});
