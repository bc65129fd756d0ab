import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { digestOf, MEDIA_TYPES } from '../../src/oci/index.ts';
import { buildImage, type Content, content, noise, platformOf } from '../support/image.ts';
import { isIngestEnd, type Mirror, startMirror } from '../support/mirror.ts';
import { type RawResponse, rawRequest, sendBytes } from '../support/raw-request.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// What the specification has a registry answer, asked byte for byte of the whole server (distribution-spec; RFC 9110).

const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'protocol' });
const amd64 = platformOf(image, 'amd64');
const layer = amd64.layers[1] as Content;
const ABSENT = digestOf(Buffer.from('no registry has this'));

let upstream: ScriptedUpstream;
let mirror: Mirror;
before(async () => {
  upstream = await startScriptedUpstream();
  upstream.add(image, REPOSITORY, ['1', '2', 'latest']);
  mirror = await startMirror({
    domain_suffix: 'mirror.example.com',
    default_registry: 'plain',
    registries: { plain: { upstreams: [upstream.url] } },
  });
});
after(async () => {
  await mirror.stop();
  await upstream.stop();
});

const manifestPath = (reference: string, repository = REPOSITORY): string => `/v2/${repository}/manifests/${reference}`;
const blobPath = (digest: string, repository = REPOSITORY): string => `/v2/${repository}/blobs/${digest}`;

describe('/v2/', () => {
  for (const path of ['/v2/', '/v2', '/plain/v2/', '/v2/?ns=plain']) {
    test(`${path} says that this is a registry, and asks for no login`, async () => {
      const { status, headers, body } = await mirror.get(path);
      assert.equal(status, 200);
      assert.equal(body.toString(), '{}');
      assert.equal(headers['docker-distribution-api-version'], 'registry/2.0');
      assert.equal(headers['content-type'], 'application/json');
      assert.equal(headers['www-authenticate'], undefined);
    });
  }
});

describe('/api and /ui', () => {
  let closed: Mirror;
  before(async () => {
    closed = await startMirror({ admin: { enabled: false } });
  });
  after(() => closed?.stop());

  for (const path of ['/api', '/api/', '/ui', '/ui/status', '/api/v2/', '/ui/v2/team/app/manifests/latest?ns=plain']) {
    test(`${path} is no name of a registry where the console is not served`, async () => {
      const answer = await closed.get(path);
      assertError(answer, { status: 404, code: 'UNSUPPORTED' });
      assert.match(answer.body.toString(), /is reserved/);
    });

    test(`${path} is no name of a registry where it is`, async () => {
      const { headers } = await mirror.get(path);
      assert.doesNotMatch(String(headers['content-type']), /image/);
      assert.equal(headers['docker-content-digest'], undefined);
    });
  }

  for (const path of ['/apis', '/uiv/v2/', '/v2/api/manifests/latest', '/v2/ui/app/manifests/latest']) {
    test(`${path} is read as ever`, async () => {
      assert.doesNotMatch((await mirror.get(path)).body.toString(), /is reserved/);
    });
  }
});

describe('HEAD and GET', () => {
  const targets = [
    ['a manifest by tag', manifestPath('latest')],
    ['a manifest by digest', manifestPath(amd64.manifest.digest)],
    ['a blob', blobPath(layer.digest)],
    ['/v2/', '/v2/'],
    ['tags', `/v2/${REPOSITORY}/tags/list`],
    ['what is not there', manifestPath('absent')],
  ] as const;
  for (const [what, path] of targets) {
    test(`${what}: the same headers, cold and warm`, async () => {
      await using own = await startMirror({ registries: { plain: { upstreams: [upstream.url] } } });
      const at = path.replace('/v2/', '/plain/v2/');
      const coldHead = await own.head(at);
      const get = await own.get(at);
      const warmHead = await own.head(at);
      assert.deepEqual(lasting(coldHead), lasting(get));
      assert.deepEqual(lasting(warmHead), lasting(get));
      assert.equal(coldHead.body.length + warmHead.body.length, 0);
      assert.equal(get.headers['content-length'], String(get.body.length));
    });
  }

  test('Docker-Content-Digest is the digest of the bytes, and the bytes are those of the upstream', async () => {
    const { bytes, digest } = image.index;
    const byTag = await mirror.get(manifestPath('latest'));
    assert.ok(byTag.body.equals(bytes));
    assert.equal(byTag.headers['docker-content-digest'], digest);
    assert.equal(byTag.headers['content-type'], image.index.mediaType);
    for (const each of [...image.manifests, ...image.blobs]) {
      const path = image.manifests.includes(each) ? manifestPath(each.digest) : blobPath(each.digest);
      const answer = await mirror.get(path);
      assert.equal(answer.headers['docker-content-digest'], each.digest);
      assert.ok(answer.whole && answer.body.equals(each.bytes), path);
    }
  });

  /** Status and headers that do not depend on the moment. */
  function lasting({ status, headers }: RawResponse): unknown {
    const { date: _date, age, 'x-request-id': id, 'x-cache': _cache, 'content-length': length, ...rest } = headers;
    // What an error says of its upstream names the method it was asked by.
    return { status, ...rest, length: status === 200 && length, hasAge: age !== undefined, hasId: id !== undefined };
  }
});

describe('errors', () => {
  const upper = `sha256:${'A'.repeat(64)}`;
  const refused: readonly (readonly [path: string, status: number, code: string, needs?: Record<string, string>])[] = [
    [manifestPath('latest', 'Team/App'), 400, 'NAME_INVALID'],
    [manifestPath('latest', 'a..b'), 400, 'NAME_INVALID'],
    [manifestPath('latest', 'a'.repeat(300)), 400, 'NAME_INVALID'],
    [manifestPath('-wrong'), 404, 'MANIFEST_UNKNOWN'],
    [manifestPath(upper), 400, 'DIGEST_INVALID'],
    [manifestPath('sha256:abc'), 400, 'DIGEST_INVALID'],
    [blobPath(upper), 400, 'DIGEST_INVALID'],
    [blobPath('latest'), 400, 'DIGEST_INVALID'],
    [`/v2/${REPOSITORY}/referrers/latest`, 400, 'DIGEST_INVALID'],
    [`/v2/${REPOSITORY}/tags/list?n=-1`, 400, 'PAGINATION_NUMBER_INVALID'],
    [`/v2/_catalog?n=many`, 400, 'PAGINATION_NUMBER_INVALID'],
    [manifestPath('absent'), 404, 'MANIFEST_UNKNOWN'],
    [manifestPath(ABSENT), 404, 'MANIFEST_UNKNOWN'],
    [blobPath(ABSENT), 404, 'BLOB_UNKNOWN'],
    [blobPath(layer.digest, 'team/other'), 404, 'BLOB_UNKNOWN'],
    ['/v2/absent/tags/list', 404, 'NAME_UNKNOWN'],
    ['/v2/registry.example.com/app/manifests/latest', 404, 'NAME_UNKNOWN'],
    ['/v2/team/app', 404, 'UNSUPPORTED'],
    ['/v1/search?q=app', 404, 'UNSUPPORTED'],
    ['/nothing', 404, 'UNSUPPORTED'],
  ];
  for (const [path, status, code] of refused) {
    test(`${status} ${code}: ${path.slice(0, 80)}`, async () => assertError(await mirror.get(path), { status, code }));
  }

  test('416 tells the size', async () => {
    const answer = await mirror.get(blobPath(layer.digest), { range: `bytes=${layer.size}-` });
    assertError(answer, { status: 416, code: 'RANGE_INVALID' });
    assert.equal(answer.headers['content-range'], `bytes */${layer.size}`);
  });

  for (const [what, fault, retryAfter] of [
    ['429 stays 429, with Retry-After', { status: 429, headers: { 'retry-after': '7' } }, /^7$/],
    ['429 in plain text (HAP429) is one as well', { status: 429, body: 'Too Many Requests (HAP429)' }, /^[1-9]\d*$/],
  ] as const) {
    test(what, async () => {
      // One of its own, as it is left alone for a while then.
      await using busy = await startScriptedUpstream();
      busy.fault({ kind: 'manifest' }, fault);
      await using own = await startMirror({
        default_registry: 'busy',
        registries: { busy: { upstreams: [busy.url] } },
      });
      const answer = await own.get(manifestPath('latest'));
      assertError(answer, { status: 429, code: 'TOOMANYREQUESTS' });
      assert.match(answer.headers['retry-after'] ?? '1', retryAfter);
    });
  }

  test('502 for what cannot be right: a manifest with another digest, and a login page', async () => {
    const wrong = content(MEDIA_TYPES.ociIndex, Buffer.from('{"schemaVersion":2,"manifests":[]}'));
    const claimed = { ...wrong, digest: digestOf(Buffer.from('another')) };
    upstream.library.addManifest(REPOSITORY, claimed);
    assertError(await mirror.get(manifestPath(claimed.digest)), { status: 502, code: 'UNAVAILABLE' });

    const page = { ...content('text/html', Buffer.from('<html>log in</html>')), digest: digestOf(Buffer.from('page')) };
    upstream.library.addManifest(REPOSITORY, page);
    upstream.library.tag(REPOSITORY, { tag: 'portal', digest: page.digest });
    assertError(await mirror.get(manifestPath('portal')), { status: 502, code: 'UNAVAILABLE' });
    upstream.library.tag(REPOSITORY, { tag: 'portal', digest: undefined });
  });

  test('502 for a manifest that could be read as image and as index', async () => {
    const both = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, layers: [], manifests: [] });
    const manifest = content(MEDIA_TYPES.ociManifest, Buffer.from(both));
    upstream.library.addManifest(REPOSITORY, manifest);
    assertError(await mirror.get(manifestPath(manifest.digest)), { status: 502, code: 'MANIFEST_INVALID' });
  });

  for (const [what, fault] of [
    ['answers 500', { status: 500 }],
    ['breaks the connection', { reset: true }],
  ] as const) {
    test(`503 where the upstream ${what}, for manifests, blobs and lists`, async () => {
      await using down = await startScriptedUpstream();
      down.fault(/./, fault);
      await using own = await startMirror({
        default_registry: 'down',
        registries: { down: { upstreams: [down.url] } },
      });
      for (const path of [
        manifestPath('latest'),
        manifestPath(ABSENT),
        blobPath(ABSENT),
        `/v2/${REPOSITORY}/tags/list`,
      ]) {
        assertError(await own.get(path), { status: 503, code: 'UNAVAILABLE' });
      }
    });
  }
});

describe('what is not a read', () => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'FETCH']) {
    test(`${method} is refused everywhere, and reaches no upstream`, async () => {
      const before = upstream.requests.length;
      for (const path of [
        manifestPath('latest'),
        blobPath(layer.digest),
        `/v2/${REPOSITORY}/blobs/uploads/`,
        '/v2/',
        '/',
      ]) {
        const answer = await rawRequest(mirror.host, { method, path });
        assertError(answer, { status: 405, code: 'UNSUPPORTED' });
        assert.equal(answer.headers['allow'], 'GET, HEAD');
        const words = /^(?:POST|PUT|PATCH|DELETE)$/.test(method)
          ? /nothing can be pushed/
          : /a mirror answers GET and HEAD/;
        assert.match(answer.body.toString(), words);
      }
      assert.equal(upstream.requests.length, before);
    });
  }

  test('a GET of an upload is refused, as nothing is uploaded here', async () => {
    const answer = await mirror.get(`/v2/${REPOSITORY}/blobs/uploads/some-id`);
    assertError(answer, { status: 405, code: 'UNSUPPORTED' });
  });

  test('CONNECT opens no tunnel', async () => {
    const { host } = new URL(upstream.url);
    const before = upstream.requests.length;
    const bytes = await sendBytes(
      mirror.host,
      `CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\nGET /v2/ HTTP/1.1\r\n\r\n`,
    );
    assert.match(bytes.toString(), /^HTTP\/1\.1 405 /);
    assert.equal(upstream.requests.length, before);
  });

  const inner = `GET ${manifestPath('smuggled')} HTTP/1.1\r\nHost: x\r\n\r\n`;
  for (const [what, framing] of [
    ['a length', `Content-Length: ${inner.length}\r\n\r\n${inner}`],
    ['chunks', `Transfer-Encoding: chunked\r\n\r\n${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`],
    ['both, which disagree', `Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`],
  ] as const) {
    test(`a GET with a body by ${what} is refused, and the body is no second request`, async () => {
      const bytes = await sendBytes(mirror.host, `GET /v2/ HTTP/1.1\r\nHost: ${mirror.host}\r\n${framing}`);
      const text = bytes.toString();
      assert.match(text, /^HTTP\/1\.1 400 /);
      assert.equal(text.split('HTTP/1.1 ').length, 2, `more than one answer:\n${text}`);
      assert.equal(upstream.count({ reference: 'smuggled' }), 0);
    });
  }
});

test('a GET whose chunks hold no byte is answered, and its connection ends', async () => {
  const request = `GET /v2/ HTTP/1.1\r\nHost: ${mirror.host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`;
  const bytes = await sendBytes(mirror.host, request + request);
  const text = bytes.toString();
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.equal(text.split('HTTP/1.1 ').length, 2, `more than one answer:\n${text}`);
});

test('two Hosts are refused, as it cannot be known which is meant (RFC 9112 §3.2)', async () => {
  const hosts = 'Host: ghcr.mirror.example.com\r\nhost: plain.mirror.example.com';
  const bytes = await sendBytes(mirror.host, `GET /v2/ HTTP/1.1\r\n${hosts}\r\n\r\n`);
  assert.match(bytes.toString(), /^HTTP\/1\.1 400 /);
});

describe('paths that no name needs', () => {
  const paths = [
    '/v2/team/../app/manifests/latest',
    '/v2/../v2/team/app/manifests/latest',
    '/v2/team%252fapp/manifests/latest',
    '/v2/team%5capp/manifests/latest',
    '/v2/team/app/manifests/latest%00',
    '/v2/%2e%2e/app/manifests/latest',
    '/v2/team//app/manifests/latest',
    '/v2//team/app/manifests/latest',
    '/v2/team\\app/manifests/latest',
    '/v2/team/app/blobs/..%2f..%2fsecrets',
    `/v2/${'a/'.repeat(2000)}manifests/latest`,
  ];
  for (const path of paths) {
    test(`${path.slice(0, 60)} is 400 NAME_INVALID`, async () => {
      const before = upstream.requests.length;
      assertError(await mirror.get(path), { status: 400, code: 'NAME_INVALID' });
      assert.equal(upstream.requests.length, before, 'an upstream was asked');
    });
  }

  test('a request as to a forward proxy is 400', async () => {
    const answer = await mirror.get(`${upstream.url}/v2/team/app/manifests/latest`);
    assertError(answer, { status: 400, code: 'UNSUPPORTED' });
  });
});

describe('304', () => {
  const etag = (digest: string): string => `"${digest}"`;
  const targets = [
    ['a manifest', manifestPath('latest'), image.index.digest],
    ['a blob', blobPath(layer.digest), layer.digest],
  ] as const;
  for (const [what, path, digest] of targets) {
    test(`${what}: where its tag is named, alone, weak or in a list`, async () => {
      for (const condition of [etag(digest), `W/${etag(digest)}`, `"other", ${etag(digest)}`]) {
        for (const method of ['GET', 'HEAD']) {
          const answer = await rawRequest(mirror.host, { method, path, headers: { 'if-none-match': condition } });
          assert.equal(answer.status, 304, condition);
          assert.equal(answer.headers['etag'], etag(digest));
          assert.equal(answer.body.length, 0);
        }
      }
    });

    test(`${what}: not where another is named, or a date, or nothing`, async () => {
      const others = [{ 'if-none-match': '"other"' }, { 'if-modified-since': new Date().toUTCString() }, {}];
      for (const headers of others) assert.equal((await mirror.get(path, headers)).status, 200);
    });
  }

  test('what is not there is not unchanged either (RFC 9110 §13.2.1)', async () => {
    const answer = await mirror.get(blobPath(ABSENT), { 'if-none-match': etag(ABSENT) });
    assertError(answer, { status: 404, code: 'BLOB_UNKNOWN' });
  });
});

describe('Range', () => {
  /** What RFC 9110 §14.2 has for one header on a body of `size` bytes, said apart from the code that serves it. */
  function expectation(header: string, size: number): { status: number; start: number; end: number } {
    const whole = { status: 200, start: 0, end: size };
    const match = /^bytes=(\d*)-(\d*)$/.exec(header);
    if (match === null) return whole;
    const [first, last] = [match[1] ?? '', match[2] ?? ''];
    if (first === '' && last === '') return whole;
    if (first === '') {
      if (Number(last) === 0) return { status: 416, start: 0, end: 0 };
      return { status: 206, start: Math.max(0, size - Number(last)), end: size };
    }
    // RFC 9110 would ignore it; the conformance suite expects 416.
    if (last !== '' && Number(last) < Number(first)) return { status: 416, start: 0, end: 0 };
    if (Number(first) >= size) return { status: 416, start: 0, end: 0 };
    return { status: 206, start: Number(first), end: last === '' ? size : Math.min(size, Number(last) + 1) };
  }

  /** @param asked `sizeOf`: what a 416 may leave out, where it cannot be known yet */
  function assertPart(answer: RawResponse, asked: { header: string; bytes: Buffer; sizeOf?: string }): void {
    const { header, bytes, sizeOf } = asked;
    const { status, start, end } = expectation(header, bytes.length);
    assert.equal(answer.status, status, `${header} of ${bytes.length}`);
    if (status === 416) return assert.equal(answer.headers['content-range'] ?? sizeOf, `bytes */${bytes.length}`);
    assert.ok(answer.whole && answer.body.equals(bytes.subarray(start, end)), `${header} of ${bytes.length}`);
    const range = status === 206 ? `bytes ${start}-${end - 1}/${bytes.length}` : undefined;
    assert.equal(answer.headers['content-range'], range);
  }

  const position = fc.oneof(
    fc.constantFrom(0, 1, 65_535, 65_536, 65_537, 299_999, 300_000, 2 ** 53),
    fc.nat({ max: 320_000 }),
  );
  const digits = position.map((each) => BigInt(each).toString());
  const header = fc.oneof(
    fc.tuple(digits, digits).map(([first, last]) => `bytes=${first}-${last}`),
    digits.map((first) => `bytes=${first}-`),
    digits.map((length) => `bytes=-${length}`),
    fc.constantFrom('bytes=0-0', 'bytes=-1', 'bytes=0-', 'bytes=-', 'bytes=', 'items=0-1', 'bytes=a-b'),
  );
  let made = 0;

  test('cold and warm: the slice it should be, and the whole afterwards', async () => {
    const size = fc.oneof(fc.constantFrom(1, 2, 65_536, 65_537, 300_000), fc.integer({ min: 1, max: 300_000 }));
    await fc.assert(
      fc.asyncProperty(size, header, header, fc.boolean(), async (bytesInAll, first, second, chunked) => {
        made += 1;
        const blob = content('application/octet-stream', noise(`range ${made}`, bytesInAll));
        upstream.addBlob(REPOSITORY, blob);
        const heal = upstream.fault(blob.digest, { chunked });
        const cold = await mirror.get(blobPath(blob.digest), { range: first });
        // An upstream that tells no length leaves nothing to count a part by before it has ended.
        if (chunked && cold.status === 200) assert.ok(cold.whole && cold.body.equals(blob.bytes));
        // And of a blob that no manifest has named, the size is not known before its upstream is asked.
        else assertPart(cold, { header: first, bytes: blob.bytes, sizeOf: `bytes */${bytesInAll}` });
        const whole = await mirror.get(blobPath(blob.digest));
        assert.ok(whole.status === 200 && whole.whole && whole.body.equals(blob.bytes), 'the whole, afterwards');
        await mirror.logged(isIngestEnd(blob.digest, 'committed'));
        const warm = await mirror.get(blobPath(blob.digest), { range: second });
        if (warm.status !== 416) assert.equal(warm.headers['x-cache'], 'HIT');
        assertPart(warm, { header: second, bytes: blob.bytes });
        heal();
      }),
      { numRuns: 60 },
    );
  });

  test('far into a cold blob: fetched for itself, right, and the whole is kept beside it', async () => {
    const blob = content('application/octet-stream', noise('far', 12_000_000));
    upstream.addBlob(REPOSITORY, blob);
    for (const far of ['bytes=11999999-', 'bytes=9000000-9000099', 'bytes=10000000-10500000']) {
      await using own = await startMirror({
        default_registry: 'plain',
        registries: { plain: { upstreams: [upstream.url] } },
      });
      const cold = await own.get(blobPath(blob.digest), { range: far });
      assert.equal(cold.headers['x-cache'], 'PASS');
      assertPart(cold, { header: far, bytes: blob.bytes });
      await own.logged(isIngestEnd(blob.digest, 'committed'));
      const before = upstream.blobBodies(blob.digest).length;
      const whole = await own.get(blobPath(blob.digest));
      assert.ok(whole.body.equals(blob.bytes) && whole.headers['x-cache'] === 'HIT');
      assert.equal(upstream.blobBodies(blob.digest).length, before);
    }
  });

  test('far past the end of a cold blob is 416, whether or not a manifest has told its size', async () => {
    const unnamed = content('application/octet-stream', noise('past the end', 1000));
    upstream.addBlob(REPOSITORY, unnamed);
    const config = { default_registry: 'plain', registries: { plain: { upstreams: [upstream.url] } } };
    for (const header of ['bytes=20000000-', 'bytes=20000000-20000009', 'bytes=9007199254740992-']) {
      await using own = await startMirror(config);
      assertError(await own.get(blobPath(unnamed.digest), { range: header }), { status: 416, code: 'RANGE_INVALID' });
      await own.get(manifestPath(amd64.manifest.digest));
      assertPart(await own.get(blobPath(layer.digest), { range: header }), { header, bytes: layer.bytes });
    }
  });

  test('far into a cold blob, wrong bytes: they are passed on as a part, and never kept', async () => {
    const blob = content('application/octet-stream', noise('far and wrong', 12_000_000));
    upstream.addBlob(REPOSITORY, blob);
    const heal = upstream.fault(blob.digest, { flipAt: 11_000_050 });
    const cold = await mirror.get(blobPath(blob.digest), { range: 'bytes=11000000-11000099' });
    assert.equal(cold.status, 206);
    assert.ok(!cold.body.equals(blob.bytes.subarray(11_000_000, 11_000_100)), 'the flip was not asked for');
    await mirror.logged(isIngestEnd(blob.digest, 'failed'));
    heal();
    const whole = await mirror.get(blobPath(blob.digest));
    assert.ok(whole.status === 200 && whole.body.equals(blob.bytes));
    const warm = await mirror.get(blobPath(blob.digest), { range: 'bytes=11000000-11000099' });
    assertPart(warm, { header: 'bytes=11000000-11000099', bytes: blob.bytes });
  });

  test('If-Range: the part for the same blob, the whole for any other', async () => {
    const path = blobPath(layer.digest);
    const range = 'bytes=10-19';
    const same = await mirror.get(path, { range, 'if-range': `"${layer.digest}"` });
    assertPart(same, { header: range, bytes: layer.bytes });
    for (const condition of ['"other"', `W/"${layer.digest}"`, new Date().toUTCString()]) {
      const other = await mirror.get(path, { range, 'if-range': condition });
      assert.equal(other.status, 200, condition);
      assert.ok(other.body.equals(layer.bytes));
    }
  });

  test('an empty blob is empty, whatever part of it is asked for', async () => {
    const empty = content('application/octet-stream', Buffer.alloc(0));
    upstream.addBlob(REPOSITORY, empty);
    for (const headers of [{}, {}, { range: 'bytes=0-' }, { range: 'bytes=0-0' }]) {
      const answer = await mirror.get(blobPath(empty.digest), headers);
      assert.deepEqual([answer.status, answer.body.length, answer.whole], [200, 0, true]);
    }
  });

  test('a Range on a manifest is ignored', async () => {
    const answer = await mirror.get(manifestPath('latest'), { range: 'bytes=0-9' });
    assert.equal(answer.status, 200);
    assert.ok(answer.body.equals(image.index.bytes));
  });
});

describe('large manifests', () => {
  /** A manifest of exactly so many bytes. */
  function manifestOf(size: number): Content {
    const frame = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [], annotations: { filler: '' } };
    const filler = 'x'.repeat(size - JSON.stringify(frame).length);
    return content(MEDIA_TYPES.ociIndex, Buffer.from(JSON.stringify({ ...frame, annotations: { filler } })));
  }

  for (const size of [4_000_000, 4 * 1024 * 1024, 4_300_000]) {
    test(`${size} bytes are served, cold and warm`, async () => {
      const manifest = manifestOf(size);
      assert.equal(manifest.size, size);
      upstream.library.addManifest(REPOSITORY, manifest);
      for (const outcome of ['MISS', 'HIT']) {
        const answer = await mirror.get(manifestPath(manifest.digest));
        assert.ok(answer.status === 200 && answer.whole && answer.body.equals(manifest.bytes));
        assert.equal(answer.headers['x-cache'], outcome);
      }
    });
  }

  test('50 MB are refused, by tag and by digest, without waiting for their end', async () => {
    const manifest = manifestOf(50_000_000);
    upstream.library.addManifest(REPOSITORY, manifest);
    upstream.library.tag(REPOSITORY, { tag: 'huge', digest: manifest.digest });
    for (const reference of ['huge', manifest.digest]) {
      // Announced, it is refused before its first byte; else at the first byte too many. The rest never comes.
      for (const fault of [{ stallAt: 1 }, { chunked: true, stallAt: 6_000_000 }]) {
        const heal = upstream.fault(reference, fault);
        assertError(await mirror.get(manifestPath(reference)), { status: 502, code: 'UNAVAILABLE' });
        heal();
      }
    }
    upstream.library.tag(REPOSITORY, { tag: 'huge', digest: undefined });
  });
});

describe('tags and catalogue', () => {
  const tags = ['1', '2', 'latest'];
  const addressings = [
    ['the default', `/v2/${REPOSITORY}/tags/list`, {}],
    ['a path', `/v2/plain/${REPOSITORY}/tags/list`, {}],
    ['a word in front of /v2/', `/plain/v2/${REPOSITORY}/tags/list`, {}],
    ['a word in front, repeated', `/plain/v2/${REPOSITORY}/tags/list?ns=plain`, {}],
    ['ns', `/v2/${REPOSITORY}/tags/list?ns=plain`, {}],
    ['the host name', `/v2/${REPOSITORY}/tags/list`, { host: 'plain.mirror.example.com' }],
  ] as const;
  for (const [what, path, headers] of addressings) {
    test(`named by ${what}: a page leads to the next in the same way`, async () => {
      const seen: string[] = [];
      let next: string | undefined = `${path}${path.includes('?') ? '&' : '?'}n=1`;
      for (let page = 0; next !== undefined; page += 1) {
        assert.ok(page < 5, 'the pages do not end');
        const answer: RawResponse = await mirror.get(next, headers);
        const list = JSON.parse(answer.body.toString()) as { name: string; tags: string[] };
        assert.deepEqual([answer.status, list.name, list.tags.length], [200, REPOSITORY, 1]);
        seen.push(...list.tags);
        next = linkOf(answer);
        if (next === undefined) break;
        assert.ok(next.startsWith(path.replace(/\?.*/, '?')), `the link leaves the client's own way: ${next}`);
        assert.equal(next.includes('ns=plain'), path.includes('ns=plain'), next);
        assert.equal(answer.headers['oci-namespace'], path.includes('ns=') ? 'plain' : undefined);
      }
      assert.deepEqual(seen, tags);
    });
  }

  test('n and last are passed on; n=0 is an empty list without a link', async () => {
    const rest = await mirror.get(`/v2/${REPOSITORY}/tags/list?last=1`);
    assert.deepEqual(JSON.parse(rest.body.toString()), { name: REPOSITORY, tags: ['2', 'latest'] });
    assert.equal(rest.headers['link'], undefined);
    // What a client in Go asks for that wants them all.
    assert.equal((await mirror.get(`/v2/${REPOSITORY}/tags/list?n=9223372036854775807`)).status, 200);
    const none = await mirror.get(`/v2/${REPOSITORY}/tags/list?n=0`);
    assert.deepEqual(JSON.parse(none.body.toString()), { name: REPOSITORY, tags: [] });
    assert.equal(none.headers['link'], undefined);
  });

  test('the catalogue is paged the same way', async () => {
    upstream.addBlob('another/app', content('text/plain', Buffer.from('x')));
    for (const path of ['/v2/_catalog', '/v2/plain/_catalog', '/plain/v2/_catalog']) {
      const first = await mirror.get(`${path}?n=1`);
      assert.deepEqual(JSON.parse(first.body.toString()), { repositories: ['another/app'] });
      const next = linkOf(first) ?? '';
      assert.ok(next.startsWith(`${path}?`), next);
      const second = await mirror.get(next);
      assert.deepEqual(JSON.parse(second.body.toString()), { repositories: [REPOSITORY] });
    }
  });

  test('a registry without a catalogue says so', async () => {
    await using hub = await startScriptedUpstream({ personality: 'dockerHub' });
    await using own = await startMirror({ registries: { 'docker.io': { upstreams: [hub.url] } } });
    assert.equal((await own.get('/v2/_catalog')).status, 404);
  });

  function linkOf({ headers }: RawResponse): string | undefined {
    return /^<([^>]+)>; rel="next"$/.exec(headers['link'] ?? '')?.[1];
  }
});

/** Asserts an error in the specification's own form. */
function assertError(answer: RawResponse, { status, code }: { status: number; code: string }): void {
  const text = answer.body.toString();
  assert.equal(answer.status, status, text);
  assert.ok(answer.whole);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.equal(answer.headers['docker-distribution-api-version'], 'registry/2.0');
  const { errors } = JSON.parse(text) as { errors: { code: string; message: string }[] };
  assert.equal(errors[0]?.code, code, text);
  assert.ok((errors[0]?.message.length ?? 0) > 5, text);
}
