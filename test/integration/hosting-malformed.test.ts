import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, before, describe, test } from 'node:test';
import { digestOf, MAX_MANIFEST_BYTES, MEDIA_TYPES } from '../../src/oci/index.ts';
import { buildImage, type Content, jsonContent, noise, platformOf } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { pushBlob, pushManifest, refusalOf, send } from '../support/push.ts';
import { PushUpstream, receive, send as reply } from '../support/push-upstream.ts';
import { type RawResponse, rawRequest, sendBytes } from '../support/raw-request.ts';

// What a client may send and no client should: each is an error of the protocol, and leaves nothing behind.

const image = buildImage({ seed: 'hosting-malformed', layers: [600], architectures: ['amd64'] });
const { manifest, config, layers } = platformOf(image, 'amd64');
const layer = layers[0] as Content;
const alice = basic('alice');
const OCI = MEDIA_TYPES.ociManifest;
const INDEX = MEDIA_TYPES.ociIndex;
const ABSENT = digestOf(Buffer.from('absent'));
const APP = 'apps/app';

let scratch: string;
let mirror: Mirror;
let passed: PushUpstream;

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'entrepot-hosting-malformed-'));
  const htpasswd = join(scratch, 'htpasswd');
  await writeFile(htpasswd, htpasswdOf('alice'));
  passed = await PushUpstream.start();
  mirror = await startMirror({
    default_registry: 'apps',
    registries: {
      apps: { hosted: true },
      thin: { hosted: true, sparse: true },
      passed: { push: ['**'], upstreams: [passed.url] },
    },
    access: {
      htpasswd,
      rules: [{ who: 'alice', may: ['pull', 'push', 'delete', 'status'], on: ['apps/**', 'thin/**', 'passed/**'] }],
    },
  });
  for (const blob of [config, layer]) assert.equal((await pushBlob(at(), blob)).status, 201);
});
after(async () => {
  await mirror.stop();
  await passed.close();
  await rm(scratch, { recursive: true, force: true });
});

const at = (repository = APP) => ({ host: mirror.host, repository, headers: alice });
const uploads = (query = '', repository = APP): string => `/v2/${repository}/blobs/uploads/${query}`;
const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: Buffer) =>
  send(mirror.host, method, path, { headers: { ...alice, ...headers }, ...(body && { body }) });
const answerOf = (response: RawResponse): string => `${response.status} ${refusalOf(response).code}`;

async function begin(repository = APP): Promise<string> {
  const { status, headers } = await ask('POST', uploads('', repository));
  assert.equal(status, 202);
  return headers['location'] ?? '';
}

const json = (value: unknown, mediaType: string = OCI): Content => jsonContent(mediaType, value);
const text = (bytes: string, mediaType: string = OCI): Content => ({
  mediaType,
  bytes: Buffer.from(bytes),
  size: bytes.length,
  digest: digestOf(Buffer.from(bytes)),
});
const plain = JSON.parse(manifest.bytes.toString()) as Record<string, unknown>;
const named = ({ mediaType, digest, size }: Content) => ({ mediaType, digest, size });

describe('a path that can be none', () => {
  const long = `${'a/'.repeat(300)}a`;
  for (const [method, path, statuses] of [
    ['POST', '/v2/apps/../etc/blobs/uploads/', [400, 404]],
    ['POST', '/v2/apps/..%2f..%2fetc/blobs/uploads/', [400, 404]],
    ['POST', '/v2/apps/A/blobs/uploads/', [400]],
    ['POST', '/v2/apps/a//b/blobs/uploads/', [400, 404]],
    ['POST', '/v2/apps/a%00b/blobs/uploads/', [400]],
    ['POST', `/v2/apps/${long}/blobs/uploads/`, [400]],
    ['POST', '/v2/apps/-a/blobs/uploads/', [400]],
    ['PUT', '/v2/apps/app/manifests/-tag', [400, 404]],
    ['PUT', '/v2/apps/app/manifests/..', [400, 404]],
    ['PUT', '/v2/apps/app/manifests/%2e%2e%2f%2e%2e', [400, 404]],
    ['PUT', `/v2/apps/app/manifests/${'t'.repeat(129)}`, [400, 404]],
    ['PUT', '/v2/apps/app/manifests/sha256:abc', [400, 404]],
    ['PUT', `/v2/apps/app/manifests/md5:${'a'.repeat(32)}`, [400, 404]],
    ['PUT', `/v2/apps/app/manifests/sha256:${'A'.repeat(64)}`, [400, 404]],
    ['PUT', `/v2/apps/app/manifests/sha512:${'a'.repeat(64)}`, [400, 404]],
    ['DELETE', '/v2/apps/app/blobs/sha256:..%2f..%2f..%2fhosted.db', [400, 404]],
    ['DELETE', '/v2/apps/app/blobs/latest', [400, 404]],
    ['GET', '/v2/apps/app/blobs/uploads/..', [400, 404]],
    ['DELETE', '/v2/apps/app/blobs/uploads/..%2f..%2fhosted.db', [400, 404]],
    ['DELETE', '/v2/apps/app/blobs/uploads/%2e%2e', [400, 404]],
    ['PATCH', `/v2/apps/app/blobs/uploads/${'a'.repeat(4000)}`, [400, 404]],
    ['PATCH', '/v2/apps/app/blobs/uploads/__proto__', [404]],
    ['PUT', `/v2/apps/app/blobs/uploads/constructor?digest=${ABSENT}`, [404]],
    ['TRACE', '/v2/apps/app/manifests/latest', [405]],
    ['__proto__', '/v2/apps/app/blobs/uploads/', [400, 405]],
    ['MKCOL', '/v2/apps/app/blobs/uploads/', [405]],
    ['PATCH', '/v2/apps/app/manifests/latest', [405]],
    ['POST', '/v2/apps/app/tags/list', [405]],
    ['PUT', `/v2/apps/app/blobs/${ABSENT}`, [405]],
    ['DELETE', '/v2/_catalog?ns=apps', [405]],
  ] as const) {
    test(`${method} ${path.slice(0, 80)}`, async () => {
      const { status, body } = await ask(method, path, { 'content-type': OCI });
      assert.ok((statuses as readonly number[]).includes(status), `${status} ${body.toString()}`);
    });
  }
});

describe('an upload is refused', () => {
  for (const [what, query, status] of [
    ['without a digest at its end', '', 400],
    ['with an empty one', '?digest=', 400],
    ['with one of another algorithm', `?digest=md5:${'a'.repeat(32)}`, 400],
    ['with one that is too short', '?digest=sha256:abc', 400],
    ['with one in capitals', `?digest=sha256:${'A'.repeat(64)}`, 400],
    ['with the digest of other bytes', `?digest=${ABSENT}`, 400],
    ['with a path in it', '?digest=sha256:..%2f..%2fhosted.db', 400],
    ['with several, the first of which is wrong', `?digest=${ABSENT}&digest=${layer.digest}`, 400],
  ] as const) {
    test(what, async () => {
      const answer = await ask('PUT', `${await begin()}${query}`, {}, layer.bytes);
      assert.equal(answerOf(answer), `${status} DIGEST_INVALID`);
    });
  }

  test('with an algorithm, or a mount, that can be none', async () => {
    for (const query of ['?digest-algorithm=md5', '?digest-algorithm=__proto__', '?mount=x&from=apps/b', '?mount=']) {
      assert.equal(answerOf(await ask('POST', uploads(query))), '400 DIGEST_INVALID', query);
    }
  });

  test('a mount from names that can be none is an upload like any other', async () => {
    for (const from of [
      '',
      '..',
      '../../etc',
      'A',
      '%00',
      'a'.repeat(3000),
      'http://evil.example/x',
      'apps',
      '/',
      '@',
      'apps/app%2f..',
    ]) {
      const { status, headers } = await ask('POST', uploads(`?mount=${ABSENT}&from=${from}`));
      assert.equal(status, 202, from);
      assert.equal((await ask('DELETE', headers['location'] ?? '')).status, 204);
    }
  });

  test('a length that is two lengths, or none, is an error of HTTP, and the server goes on', async () => {
    const location = await begin();
    const head = `PATCH ${location} HTTP/1.1\r\nHost: ${mirror.host}\r\nAuthorization: ${alice['authorization']}\r\nConnection: close\r\n`;
    for (const lines of [
      'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde',
      'Content-Length: -1\r\n\r\n',
      'Content-Length: 99999999999999999999\r\n\r\nabc',
      'Content-Length : 5\r\n\r\nabcde',
      'Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n',
      'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    ]) {
      const answer = (
        await sendBytes(mirror.host, `${head}${lines}`, { timeout: 5000 }).catch(() => Buffer.alloc(0))
      ).toString();
      assert.match(answer, /^(?:HTTP\/1\.1 4\d\d |HTTP\/1\.1 501 |$)/, JSON.stringify(lines));
    }
    const shown = await ask('GET', location);
    assert.deepEqual([shown.status, shown.headers['range']], [204, '0-0']);
    assert.equal((await ask('DELETE', location)).status, 204);
  });

  test('by the cap of one client over many repositories', async () => {
    const statuses = new Set<number>();
    const open: string[] = [];
    for (let n = 0; n < 210; n += 1) {
      const { status, headers } = await ask('POST', uploads('', `apps/many/${n}`));
      statuses.add(status);
      if (status === 202) open.push(headers['location'] ?? '');
    }
    assert.deepEqual([...statuses], [202, 429]);
    assert.ok(open.length <= 200);
    for (const location of open) assert.equal((await ask('DELETE', location)).status, 204);
  });
});

test('a blob of no bytes is a blob', async () => {
  const empty = digestOf(Buffer.alloc(0));
  const { headers } = await ask('POST', uploads(`?digest=${empty}`));
  assert.equal((await ask('PUT', `${headers['location']}?digest=${empty}`)).status, 201);
  const found = await mirror.get(`/v2/${APP}/blobs/${empty}`, alice);
  assert.deepEqual([found.status, found.headers['content-length'], found.body.length], [200, '0', 0]);
  assert.equal((await mirror.get(`/v2/${APP}/blobs/${empty}`, { ...alice, range: 'bytes=0-0' })).body.length, 0);
  const image0 = json({ ...plain, layers: [{ mediaType: 'application/octet-stream', digest: empty, size: 0 }] });
  assert.equal((await pushManifest(at(), image0, 'empty')).status, 201);
});

describe('a manifest is refused', () => {
  const deep = '['.repeat(200_000) + ']'.repeat(200_000);
  const self = json({ schemaVersion: 2, mediaType: INDEX, manifests: [] }, INDEX);
  for (const [what, pushed, code] of [
    ['without a byte', text(''), 'MANIFEST_INVALID'],
    ['that is no JSON', text('{'), 'MANIFEST_INVALID'],
    ['that is no object', text('[]'), 'MANIFEST_INVALID'],
    ['that is null', text('null'), 'MANIFEST_INVALID'],
    ['with JSON that is very deep', text(`{"schemaVersion":2,"x":${deep}}`), 'MANIFEST_INVALID'],
    ['without a schema version', json({ ...plain, schemaVersion: undefined }), 'MANIFEST_INVALID'],
    [
      'of schema version 1',
      json(
        { schemaVersion: 1, name: 'a', tag: 'b', fsLayers: [], history: [] },
        'application/vnd.docker.distribution.manifest.v1+json',
      ),
      'MANIFEST_INVALID',
    ],
    [
      'of schema version 1, signed',
      json({ schemaVersion: 1, signatures: [] }, 'application/vnd.docker.distribution.manifest.v1+prettyjws'),
      'MANIFEST_INVALID',
    ],
    ['of a type that is none', json(plain, 'text/html'), 'MANIFEST_INVALID'],
    ['of another type than it says', json(plain, MEDIA_TYPES.dockerManifest), 'MANIFEST_INVALID'],
    ['with manifests and layers', json({ ...plain, manifests: [] }), 'MANIFEST_INVALID'],
    [
      'that is an index with layers',
      json({ schemaVersion: 2, mediaType: INDEX, manifests: [], layers: [] }, INDEX),
      'MANIFEST_INVALID',
    ],
    ['whose layers are no list', json({ ...plain, layers: {} }), 'MANIFEST_INVALID'],
    ['whose layers are numbers', json({ ...plain, layers: [1, 2] }), 'MANIFEST_INVALID'],
    ['whose config is missing', json({ ...plain, config: undefined }), 'MANIFEST_INVALID'],
    [
      'with a digest that can be none',
      json({ ...plain, layers: [{ ...named(layer), digest: 'sha256:../../x' }] }),
      'MANIFEST_INVALID',
    ],
    ['with a size below nothing', json({ ...plain, layers: [{ ...named(layer), size: -1 }] }), 'MANIFEST_INVALID'],
    [
      'with a size that is no number',
      json({ ...plain, layers: [{ ...named(layer), size: '600' }] }),
      'MANIFEST_INVALID',
    ],
    ['with a subject that is none', json({ ...plain, subject: 'latest' }), 'MANIFEST_INVALID'],
    ['with annotations that are none', json({ ...plain, annotations: { a: 1 } }), 'MANIFEST_INVALID'],
    [
      'with a layer that is not there',
      json({ ...plain, layers: [{ ...named(layer), digest: ABSENT }] }),
      'MANIFEST_BLOB_UNKNOWN',
    ],
    [
      'that is an index of what is not there',
      json({ schemaVersion: 2, mediaType: INDEX, manifests: [named(self)] }, INDEX),
      'MANIFEST_BLOB_UNKNOWN',
    ],
    [
      'that is an index which names a blob as a manifest',
      json({ schemaVersion: 2, mediaType: INDEX, manifests: [{ ...named(layer), mediaType: OCI }] }, INDEX),
      'MANIFEST_BLOB_UNKNOWN',
    ],
  ] as const) {
    test(what, async () => {
      const answer = await pushManifest(at(), pushed, 'wrong');
      assert.equal(answerOf(answer), `400 ${code}`);
      assert.equal((await mirror.get(`/v2/${APP}/manifests/${pushed.digest}`, alice)).status, 404);
    });
  }

  test('under the digest of another one, by whichever algorithm', async () => {
    for (const reference of [ABSENT, digestOf(Buffer.from('x'), 'sha512')]) {
      assert.equal(answerOf(await pushManifest(at(), manifest, reference)), '400 DIGEST_INVALID');
    }
    const sha512 = digestOf(manifest.bytes, 'sha512');
    const taken = await pushManifest(at(), manifest, sha512);
    assert.deepEqual([taken.status, taken.headers['docker-content-digest']], [201, sha512]);
    assert.deepEqual((await mirror.get(`/v2/${APP}/manifests/${sha512}`, alice)).body, manifest.bytes);
  });

  test('with tags that can be none, or too many', async () => {
    const wrong = (query: string) => pushManifest(at('apps/tags'), manifest, `${manifest.digest}?${query}`);
    for (const query of ['tag=', 'tag=-a', 'tag=..', 'tag=a%2fb', `tag=${'a'.repeat(129)}`, 'tag=ok&tag=%00']) {
      assert.equal((await wrong(query)).status, 400, query);
    }
    const many = (count: number): string => Array.from({ length: count }, (_, n) => `tag=t${n}`).join('&');
    assert.equal((await wrong(many(101))).status, 414);
    assert.ok([414, 431].includes((await wrong(many(10_000))).status));
    assert.equal((await mirror.get('/v2/apps/tags/tags/list', alice)).status, 404);
  });
});

test('a manifest whose names come twice is what JSON.parse makes of it, and kept as it came', async () => {
  const { digest } = layer;
  const twice = manifest.bytes.toString().replace('"schemaVersion"', '"layers":[],"schemaVersion"');
  const pushed = text(twice);
  assert.equal((await pushManifest(at(), pushed, 'twice')).status, 201);
  assert.equal((await mirror.get(`/v2/${APP}/manifests/twice`, alice)).body.toString(), twice);
  // The layer that counts cannot be deleted below it.
  assert.equal((await ask('DELETE', `/v2/${APP}/blobs/${digest}`)).status, 405);
});

describe('a manifest as large as may be', () => {
  // The client is in the same process, and others share the machine: the least of three is what the server itself takes.
  const LONGEST_MS = 500;

  async function heldBy(work: () => Promise<void>): Promise<number> {
    const held: number[] = [];
    for (let n = 0; n < 3; n += 1) {
      const histogram = monitorEventLoopDelay({ resolution: 5 });
      histogram.enable();
      await work();
      histogram.disable();
      held.push(histogram.max / 1e6);
    }
    return Math.min(...held);
  }

  for (const [what, mediaType] of [
    ['layers', 'application/vnd.oci.image.layer.v1.tar'],
    ['manifests', OCI],
    ['entries without a type', 'application/octet-stream'],
  ] as const) {
    test(`with ten thousand ${what} does not hold the other requests up`, async () => {
      const list = Array.from({ length: 10_000 }, (_, n) => ({
        mediaType,
        size: n,
        digest: digestOf(Buffer.from(`${what} ${n}`)),
        annotations: { pad: 'p'.repeat(150) },
      }));
      const isImage = what === 'layers';
      const value = isImage ? { ...plain, layers: list } : { schemaVersion: 2, mediaType: INDEX, manifests: list };
      const pushed = json(value, isImage ? OCI : INDEX);
      assert.ok(pushed.size > 2 * 1024 * 1024 && pushed.size < MAX_MANIFEST_BYTES, String(pushed.size));
      const refused = await heldBy(async () => {
        assert.equal(answerOf(await pushManifest(at(), pushed, 'large')), '400 MANIFEST_BLOB_UNKNOWN');
      });
      // Where it may be sparse, it is stored.
      const stored = await heldBy(async () => {
        assert.equal((await pushManifest(at('thin/app'), pushed, 'large')).status, 201);
        assert.equal((await ask('DELETE', `/v2/thin/app/manifests/${pushed.digest}`)).status, 202);
      });
      assert.ok(Math.max(refused, stored) < LONGEST_MS, `${refused} ms, ${stored} ms`);
    });
  }
});

describe('a client that leaves', () => {
  const bytes = noise('leaves', 200_000);
  const digest = digestOf(bytes);

  /** Sends the beginning of a request, and leaves when the server has read it. */
  async function leave(
    method: string,
    path: string,
    { length, sent }: { length: number; sent: Buffer },
  ): Promise<void> {
    const [host = '', port = ''] = mirror.host.split(':');
    const socket = connect(Number(port), host);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const head = `${method} ${path} HTTP/1.1\r\nHost: ${mirror.host}\r\nAuthorization: ${alice['authorization']}\r\nContent-Type: ${OCI}\r\nContent-Length: ${length}\r\n\r\n`;
    await new Promise((resolve) => socket.write(Buffer.concat([Buffer.from(head), sent]), resolve));
    socket.resetAndDestroy();
    await once(socket, 'close');
  }

  test('at each step of a push leaves the session to go on with, or nothing', async () => {
    const repository = 'apps/leaves';
    const location = await begin(repository);
    const half = bytes.subarray(0, bytes.length / 2);
    await leave('POST', uploads('', repository), { length: 0, sent: Buffer.alloc(0) });
    await leave('POST', uploads(`?digest=${digest}`, repository), { length: bytes.length, sent: half });
    await leave('PUT', `${location}?digest=${digest}`, { length: bytes.length, sent: half });
    await leave('PATCH', location, { length: bytes.length, sent: half });
    await leave('PUT', `/v2/${repository}/manifests/latest`, {
      length: manifest.size,
      sent: manifest.bytes.subarray(0, 100),
    });
    const shown = await ask('GET', location);
    assert.equal(shown.status, 204);
    const range = shown.headers['range'] ?? '';
    const last = Number(range.split('-')[1]);
    const from = range === '0-0' ? 0 : last + 1;
    assert.ok(from <= half.length, range);
    assert.equal((await ask('PUT', `${location}?digest=${digest}`, {}, bytes.subarray(from))).status, 201);
    assert.deepEqual((await mirror.get(`/v2/${repository}/blobs/${digest}`, alice)).body, bytes);
    assert.equal((await mirror.get(`/v2/${repository}/manifests/latest`, alice)).status, 404);
  });
});

test('what an upstream takes although it is no manifest passes through, and costs this server nothing', async () => {
  passed.script = (request, response, seen) => {
    if (request.method !== 'PUT' || !seen.url.includes('/manifests/')) return 'usual';
    return receive(request, response, seen).then(() => reply(response, 201, {}));
  };
  const deep = '['.repeat(200_000) + ']'.repeat(200_000);
  for (const [body, type, status] of [
    ['', OCI, 400],
    ['{', OCI, 201],
    ['null', OCI, 201],
    [`{"schemaVersion":2,"x":${deep}}`, OCI, 201],
    [JSON.stringify({ ...plain, layers: [1, null] }), OCI, 201],
    [JSON.stringify({ ...plain, manifests: [] }), INDEX, 201],
    [manifest.bytes.toString(), 'text/html; charset="', 201],
    [manifest.bytes.toString(), 'x'.repeat(2000), 201],
  ] as const) {
    const answer = await pushManifest(at('passed/app'), text(body, type), 'odd');
    assert.equal(answer.status, status, `${body.slice(0, 50)} ${type.slice(0, 50)}: ${answer.body.toString()}`);
    const found = await mirror.get('/v2/passed/app/manifests/odd', alice);
    assert.ok(found.status < 500 || found.status === 502, `${found.status} ${found.body.toString()}`);
  }
  passed.script = () => 'usual';
});

test('headers that are huge are refused before they are read', async () => {
  const answer = await rawRequest(mirror.host, {
    method: 'POST',
    path: uploads(),
    headers: { ...alice, 'x-large': 'x'.repeat(100_000), 'content-length': '0' },
  });
  assert.equal(answer.status, 431);
});

test('nothing is left behind: no answer was 500, and every file that is half there is an upload that is open', async () => {
  const statuses = mirror.accessLog().map(({ status }) => status);
  assert.deepEqual(
    statuses.filter((status) => status === 500),
    [],
  );
  const { body } = await mirror.get('/metrics', alice);
  const open = Number(/^entrepot_uploads_open (\d+)$/m.exec(body.toString())?.[1]);
  const files = await readdir(join(mirror.dir, 'hosted', 'uploads'));
  assert.equal(files.filter((name) => /^[0-9a-f-]{36}$/.test(name)).length, open, files.join(' '));
});
