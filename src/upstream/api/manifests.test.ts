import assert from 'node:assert/strict';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { connectUpstreams, serve } from '../../../test/support/connect-upstreams.ts';
import {
  digestOf,
  type FailureKind,
  MANIFEST_ACCEPT,
  MAX_MANIFEST_BYTES,
  MEDIA_TYPES,
  type Origin,
  type Reference,
  type Repository,
} from '../../oci/index.ts';
import { UpstreamError } from '../error.ts';

const app: Repository = { registry: 'docker.io', repository: 'library/app' };
const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, layers: [] }));
const digest = digestOf(bytes);
const other = digestOf(Buffer.from('other'));
const byTag: Reference = { kind: 'tag', tag: 'latest' };
const byDigest: Reference = { kind: 'digest', digest };

/** What a registry answers: undefined headers are left out, the length is the body's unless given. */
interface Reply {
  readonly status?: number;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer | string;
}

const GOOD: OutgoingHttpHeaders = {
  'content-type': MEDIA_TYPES.ociManifest,
  'docker-content-digest': digest,
  'content-length': bytes.length,
};

/** Asks one registry that answers as told, and says what it was asked. */
async function ask<T>(play: (request: IncomingMessage) => Reply, request: (upstreams: Origin) => Promise<T>) {
  const asked: string[] = [];
  await using server = await serve((request, response) => {
    asked.push(
      `${request.method} ${request.headers.accept === MANIFEST_ACCEPT ? '' : 'without Accept '}${request.url}`,
    );
    const { status = 200, headers = GOOD, body = bytes } = play(request);
    response.writeHead(status, headers);
    response.end(request.method === 'HEAD' ? undefined : body);
  });
  await using upstreams = connectUpstreams({ url: server.url, name: 'reg' });
  const answer = await request(upstreams).catch((error: unknown) => error);
  return { answer: answer as T, asked };
}

function assertFailure(answer: unknown, kind: FailureKind, message: RegExp): void {
  assert.ok(answer instanceof UpstreamError, String(answer));
  assert.equal(answer.kind, kind, answer.message);
  assert.match(answer.message, message);
}

const HEAD = `HEAD /v2/library/app/manifests/latest`;
const GET = `GET /v2/library/app/manifests/latest`;

describe('headManifest', () => {
  test('is one HEAD where that says all', async () => {
    const { answer, asked } = await ask(
      () => ({}),
      (upstreams) => upstreams.headManifest(app, byTag),
    );
    assert.deepEqual(answer, {
      digest,
      mediaType: MEDIA_TYPES.ociManifest,
      size: bytes.length,
      upstream: 'reg',
      visibility: 'public',
    });
    assert.deepEqual(asked, [HEAD]);
  });

  const lacking: readonly (readonly [string, Reply])[] = [
    ['there is no HEAD', { status: 405 }],
    ['HEAD is not made yet', { status: 501 }],
    ['it has no digest', { headers: { ...GOOD, 'docker-content-digest': '' } }],
    ['its digest is none', { headers: { ...GOOD, 'docker-content-digest': 'sha256:x' } }],
    ['it has no length', { headers: { 'content-type': MEDIA_TYPES.ociManifest, 'docker-content-digest': digest } }],
    ['its length is nothing', { headers: { ...GOOD, 'content-length': 0 } }],
    ['its type says nothing', { headers: { ...GOOD, 'content-type': 'application/octet-stream' } }],
    ['its type is of a page', { headers: { ...GOOD, 'content-type': 'text/html' } }],
    ['it speaks of an encoded body', { headers: { ...GOOD, 'content-encoding': 'gzip' } }],
  ];
  for (const [why, reply] of lacking) {
    test(`is a GET where ${why}`, async () => {
      const { answer, asked } = await ask(
        ({ method }) => (method === 'HEAD' ? reply : {}),
        (upstreams) => upstreams.headManifest(app, byTag),
      );
      assert.deepEqual([answer.digest, answer.size, answer.mediaType], [digest, bytes.length, MEDIA_TYPES.ociManifest]);
      assert.deepEqual(asked, [HEAD, GET]);
    });
  }

  test('by digest needs no digest header', async () => {
    const headers = { 'content-type': MEDIA_TYPES.ociManifest, 'content-length': bytes.length };
    const { answer, asked } = await ask(
      () => ({ headers }),
      (upstreams) => upstreams.headManifest(app, byDigest),
    );
    assert.deepEqual([answer.digest, asked.length], [digest, 1]);
  });

  test('by digest is invalid where the registry means another', async () => {
    const headers = { ...GOOD, 'docker-content-digest': other };
    const { answer } = await ask(
      () => ({ headers }),
      (upstreams) => upstreams.headManifest(app, byDigest),
    );
    assertFailure(answer, 'invalid', /Docker-Content-Digest/);
  });

  test('is invalid where the manifest would be too large', async () => {
    const headers = { ...GOOD, 'content-length': MAX_MANIFEST_BYTES + 1 };
    const { answer } = await ask(
      () => ({ headers }),
      (upstreams) => upstreams.headManifest(app, byTag),
    );
    assertFailure(answer, 'invalid', /5242881 bytes/);
  });

  test('is a GET where the storage behind a redirect refuses HEAD', async () => {
    const { answer, asked } = await ask(
      ({ url, method }) => {
        if (url?.startsWith('/v2/')) return { status: 307, headers: { location: '/signed' } };
        return method === 'HEAD' ? { status: 403 } : {};
      },
      (upstreams) => upstreams.headManifest(app, byTag),
    );
    assert.equal(answer.digest, digest);
    assert.deepEqual(asked, [HEAD, 'HEAD /signed', GET, 'GET /signed']);
  });
});

describe('getManifest', () => {
  test('computes the digest, whatever the header says', async () => {
    const headers = { ...GOOD, 'docker-content-digest': other };
    const { answer } = await ask(
      () => ({ headers }),
      (upstreams) => upstreams.getManifest(app, byTag),
    );
    assert.deepEqual(answer, {
      bytes,
      digest,
      mediaType: MEDIA_TYPES.ociManifest,
      size: bytes.length,
      upstream: 'reg',
      visibility: 'public',
    });
  });

  test('by digest is invalid where the bytes have another, whatever the header says', async () => {
    const { answer } = await ask(
      () => ({ body: Buffer.from(bytes.map((byte, index) => (index === 5 ? byte ^ 1 : byte))) }),
      (upstreams) => upstreams.getManifest(app, byDigest),
    );
    assertFailure(answer, 'invalid', /another digest/);
  });

  test('by sha512 verifies sha512', async () => {
    const long = digestOf(bytes, 'sha512');
    const { answer, asked } = await ask(
      () => ({}),
      (upstreams) => upstreams.getManifest(app, { kind: 'digest', digest: long }),
    );
    assert.equal(answer.digest, long);
    assert.deepEqual(asked, [`GET /v2/library/app/manifests/${long}`]);
  });

  test('takes the type from the manifest where the header says nothing', async () => {
    const headers = { 'content-type': 'text/plain; charset=utf-8' };
    const { answer } = await ask(
      () => ({ headers }),
      (upstreams) => upstreams.getManifest(app, byTag),
    );
    assert.equal(answer.mediaType, MEDIA_TYPES.ociManifest);
  });

  test('takes as many bytes as are allowed, and not one more', async () => {
    const largest = Buffer.alloc(MAX_MANIFEST_BYTES, ' ');
    largest.write('{}');
    const headers = { 'content-type': MEDIA_TYPES.ociManifest };
    const taken = await ask(
      () => ({ headers, body: largest }),
      (upstreams) => upstreams.getManifest(app, byTag),
    );
    assert.equal(taken.answer.size, MAX_MANIFEST_BYTES);
    const refused = await ask(
      () => ({ headers, body: Buffer.concat([largest, Buffer.from(' ')]) }),
      (upstreams) => upstreams.getManifest(app, byTag),
    );
    assertFailure(refused.answer, 'invalid', /./);
  });

  for (const headers of [
    { 'content-type': MEDIA_TYPES.ociManifest, 'content-encoding': 'gzip' },
    { 'content-type': 'text/html' },
    { 'content-type': 'application/x-gzip;', 'content-encoding': 'x-gzip' },
  ]) {
    test(`takes the right bytes under the wrong label ${JSON.stringify(headers)}`, async () => {
      for (const reference of [byTag, byDigest]) {
        const { answer } = await ask(
          () => ({ headers }),
          (upstreams) => upstreams.getManifest(app, reference),
        );
        assert.equal(answer.digest, digest);
        if (headers['content-type'] === 'text/html') assert.equal(answer.mediaType, MEDIA_TYPES.ociManifest);
      }
    });
  }

  const wrong: readonly (readonly [string, Reply, RegExp])[] = [
    [
      'encoded',
      { headers: { 'content-type': MEDIA_TYPES.ociManifest, 'content-encoding': 'gzip' }, body: gzipSync(bytes) },
      /encoded, as gzip/,
    ],
    ['a page for people', { headers: { 'content-type': 'text/html' }, body: '<html>log in</html>' }, /not a manifest/],
    ['text', { headers: { 'content-type': 'text/plain' }, body: 'hello' }, /not a manifest/],
    ['a part', { status: 206 }, /206/],
    ['not changed', { status: 304 }, /304/],
    ['a redirect to nowhere', { status: 307, headers: {} }, /no Location/],
    ['a redirect to another protocol', { status: 301, headers: { location: 'ftp://127.0.0.1/x' } }, /ftp:/],
  ];
  for (const [why, reply, message] of wrong) {
    test(`is invalid where what comes is ${why}`, async () => {
      const { answer } = await ask(
        () => reply,
        (upstreams) => upstreams.getManifest(app, byTag),
      );
      assertFailure(answer, 'invalid', message);
    });
  }

  test('a connection that breaks within the body is unavailable', async () => {
    let asked = 0;
    await using server = await serve((_request, response) => {
      asked += 1;
      response.writeHead(200, GOOD);
      response.write(bytes.subarray(0, 10), () => response.destroy());
    });
    await using upstreams = connectUpstreams({ url: server.url, name: 'reg' });
    await assert.rejects(upstreams.getManifest(app, byTag), (error) => {
      assertFailure(error, 'unavailable', /./);
      return true;
    });
    assert.equal(asked >= 2, true, 'it was tried again');
  });
});
