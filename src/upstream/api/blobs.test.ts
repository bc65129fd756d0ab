import assert from 'node:assert/strict';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { describe, test } from 'node:test';
import { connectUpstreams, readAll, serve } from '../../../test/support/connect-upstreams.ts';
import { noise } from '../../../test/support/image.ts';
import { startScriptedUpstream } from '../../../test/support/scripted-upstream.ts';
import { digestOf, type FailureKind, type OpenBlobOptions, type Origin, type Repository } from '../../oci/index.ts';
import { UpstreamError } from '../error.ts';

const app: Repository = { registry: 'docker.io', repository: 'library/app' };
const bytes = noise('blob', 100_000);
const digest = digestOf(bytes);
const path = `/v2/library/app/blobs/${digest}`;

interface Reply {
  readonly status?: number;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer;
}

async function ask<T>(play: (request: IncomingMessage) => Reply, request: (upstreams: Origin) => Promise<T>) {
  const asked: string[] = [];
  await using server = await serve((request, response) => {
    asked.push(
      `${request.method} ${request.url}${request.headers.range === undefined ? '' : ` ${request.headers.range}`}`,
    );
    const { status = 200, headers = {}, body = bytes } = play(request);
    response.writeHead(status, { 'content-length': body.length, ...headers });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
  await using upstreams = connectUpstreams({ url: server.url, name: 'reg' });
  const answer = await request(upstreams).catch((error: unknown) => error);
  return { answer: answer as T, asked };
}

/** Opens a part and reads it. */
async function open(play: (request: IncomingMessage) => Reply, options?: OpenBlobOptions) {
  return ask(play, async (upstreams) => {
    const { body, ...rest } = await upstreams.openBlob(app, digest, options);
    return { ...rest, bytes: await readAll(body) };
  });
}

function assertFailure(answer: unknown, kind: FailureKind, message: RegExp): void {
  assert.ok(answer instanceof UpstreamError, String(answer));
  assert.equal(answer.kind, kind, answer.message);
  assert.match(answer.message, message);
}

function part(start: number, end: number, total: number | '*' = bytes.length): Reply {
  return {
    status: 206,
    headers: { 'content-range': `bytes ${start}-${end}/${total}` },
    body: bytes.subarray(start, end + 1),
  };
}

const LAST = bytes.length - 1;

describe('openBlob', () => {
  test('without a range asks for none', async () => {
    const { answer, asked } = await open(() => ({}));
    assert.deepEqual([answer.size, answer.offset, answer.bytes.equals(bytes)], [bytes.length, 0, true]);
    assert.deepEqual(asked, [`GET ${path}`]);
  });

  test('does not know the size of a body that does not say', async () => {
    await using server = await serve((_request, response) => {
      response.write(bytes.subarray(0, 10));
      response.end(bytes.subarray(10));
    });
    await using upstreams = connectUpstreams({ url: server.url });
    const { size, body } = await upstreams.openBlob(app, digest);
    assert.deepEqual([size, (await readAll(body)).equals(bytes)], [undefined, true]);
  });

  const parts: readonly (readonly [string, OpenBlobOptions, string, Reply, number | undefined])[] = [
    ['from an offset', { offset: 5000 }, 'bytes=5000-', part(5000, LAST), bytes.length],
    ['to an end', { end: 9 }, 'bytes=0-9', part(0, 9), bytes.length],
    ['one byte', { offset: 7, end: 7 }, 'bytes=7-7', part(7, 7), bytes.length],
    ['beyond the last byte', { offset: 5, end: 999_999 }, 'bytes=5-999999', part(5, LAST), bytes.length],
    ['of unknown size', { offset: 5, end: 9 }, 'bytes=5-9', part(5, 9, '*'), undefined],
  ];
  for (const [why, options, range, reply, size] of parts) {
    test(`a part ${why}`, async () => {
      const { answer, asked } = await open(() => reply, options);
      assert.deepEqual(asked, [`GET ${path} ${range}`]);
      const { offset = 0, end = LAST } = options;
      assert.deepEqual([answer.offset, answer.size], [offset, size]);
      assert.deepEqual(answer.bytes, bytes.subarray(offset, end + 1));
    });
  }

  const skipped: readonly OpenBlobOptions[] = [
    { offset: 5000 },
    { offset: 5000, end: 5999 },
    { end: 9 },
    { offset: LAST },
  ];
  for (const options of skipped) {
    test(`finds ${JSON.stringify(options)} in the whole where Range is ignored`, async () => {
      const { answer } = await open(() => ({}), options);
      const { offset = 0, end = LAST } = options;
      assert.deepEqual([answer.offset, answer.size], [offset, bytes.length]);
      assert.deepEqual(answer.bytes, bytes.subarray(offset, end + 1));
    });
  }

  const wrong: readonly (readonly [string, OpenBlobOptions, Reply, RegExp])[] = [
    ['a part that was not asked for', {}, part(0, 9), /a part where all was asked for/],
    ['a part from elsewhere', { offset: 5 }, part(6, LAST), /begins at 6, not at 5/],
    ['a part that is too short', { offset: 5, end: 9 }, part(5, 8), /ends at 8, not at 9/],
    ['a part that is too long', { offset: 5, end: 9 }, part(5, 10), /ends at 10, not at 9/],
    ['a part that stops before the end', { offset: 5 }, part(5, 10), /ends at 10/],
    ['a part without a Content-Range', { offset: 5 }, { status: 206, body: bytes.subarray(5) }, /no Content-Range/],
    [
      'a part in several ranges',
      { offset: 5 },
      { status: 206, headers: { 'content-type': 'multipart/byteranges; boundary=x' } },
      /no Content-Range/,
    ],
    [
      'a part of another length than it says',
      { offset: 5, end: 9 },
      { ...part(5, 9), body: bytes.subarray(5, 8) },
      /not as long as it says/,
    ],
    [
      'an encoded part',
      { offset: 5 },
      { ...part(5, LAST), headers: { ...part(5, LAST).headers, 'content-encoding': 'br' } },
      /encoded, as br/,
    ],
    ['a range that cannot be', { offset: 5 }, { status: 416 }, /416/],
    ['a whole that ends before', { offset: bytes.length }, {}, /has 100000 bytes, none at 100000/],
    ['a redirect to itself', {}, { status: 302, headers: { location: path } }, /one more than the 5/],
  ];
  for (const [why, options, reply, message] of wrong) {
    test(`is invalid where it gets ${why}`, async () => {
      const { answer } = await open(() => reply, options);
      assertFailure(answer, 'invalid', message);
    });
  }

  for (const [why, options, reply] of wrong) {
    const { status } = reply;
    if (options.offset !== 5 || (status !== 206 && status !== 416)) continue;
    test(`is found in the whole where a Range gets ${why}`, async () => {
      const { answer, asked } = await open(({ headers: { range } }) => (range === undefined ? {} : reply), options);
      assert.deepEqual(answer.bytes, bytes.subarray(5, (options.end ?? LAST) + 1));
      assert.deepEqual(asked, [`GET ${path} bytes=5-${options.end ?? ''}`, `GET ${path}`]);
    });
  }

  for (const status of [400, 403, 405, 406, 412, 422, 501]) {
    test(`a Range that is refused with ${status} is cut out of the whole, and not sent to that host again`, async () => {
      const asked: (string | undefined)[] = [];
      await using server = await serve(({ headers: { range } }, response) => {
        asked.push(range);
        response.writeHead(range === undefined ? 200 : status, {
          'content-length': range === undefined ? bytes.length : 0,
        });
        response.end(range === undefined ? bytes : undefined);
      });
      await using upstreams = connectUpstreams({ url: server.url });
      for (const offset of [50_000, 70_000]) {
        const { body } = await upstreams.openBlob(app, digest, { offset });
        assert.deepEqual(await readAll(body), bytes.subarray(offset));
      }
      assert.deepEqual(asked, ['bytes=50000-', undefined, undefined]);
    });
  }

  test('a refusal that the whole gets too is no refusal of the Range', async () => {
    const { answer, asked } = await open(() => ({ status: 403 }), { offset: 5 });
    assertFailure(answer, 'denied', /403/);
    assert.deepEqual(asked, [`GET ${path} bytes=5-`, `GET ${path}`]);
  });

  for (const status of [400, 401, 403, 404, 410, 412]) {
    test(`a storage that refuses a URL with ${status} is asked again by way of the registry`, async () => {
      let signed = 0;
      const { answer, asked } = await open(
        ({ url }) => {
          if (url === path) return { status: 307, headers: { location: `/signed?${(signed += 1)}` } };
          return url === '/signed?1' ? { status } : part(5, LAST);
        },
        { offset: 5 },
      );
      assert.deepEqual(answer.bytes, bytes.subarray(5));
      const range = 'bytes=5-';
      assert.deepEqual(
        asked,
        [path, '/signed?1', path, '/signed?2'].map((url) => `GET ${url} ${range}`),
      );
    });
  }

  for (const coding of ['gzip', 'x-gzip', 'zstd', 'aws-chunked', 'utf-8']) {
    test(`a label of ${coding} is ignored: for the whole the digest decides, for a part the size`, async () => {
      const headers = { 'content-encoding': coding };
      const whole = await open(() => ({ headers }));
      assert.ok(whole.answer.bytes.equals(bytes));
      const labelled = { ...part(5, LAST), headers: { ...part(5, LAST).headers, ...headers } };
      const known = await open(() => labelled, { offset: 5, size: bytes.length });
      assert.ok(known.answer.bytes.equals(bytes.subarray(5)));
      const cut = await open(() => ({ headers }), { offset: 5, size: bytes.length });
      assert.ok(cut.answer.bytes.equals(bytes.subarray(5)));
    });
  }

  const sizes: readonly (readonly [string, OpenBlobOptions, Reply])[] = [
    ['a whole', {}, { body: bytes.subarray(1) }],
    ['an empty body', {}, { body: Buffer.alloc(0) }],
    ['a part', { offset: 5, end: 9 }, part(5, 9, bytes.length + 1)],
  ];
  for (const [why, options, reply] of sizes) {
    test(`the size of the manifest is believed over that of ${why}`, async () => {
      const { answer } = await open(() => reply, { ...options, size: bytes.length });
      assertFailure(answer, 'invalid', /where the manifest says 100000/);
    });
  }

  test('the size of the manifest fills in where the upstream does not say', async () => {
    const { answer } = await open(() => part(5, LAST, '*'), { offset: 5, size: bytes.length });
    assert.deepEqual([answer.size, answer.bytes.length], [bytes.length, bytes.length - 5]);
  });

  test('an upstream that gave it wrongly is asked last, and only for that digest', async () => {
    await using hot = await serve((_, response) => response.end('<html>'));
    await using cold = await serve((_, response) => response.end(bytes));
    await using upstreams = connectUpstreams({ url: hot.url, name: 'hot' }, { url: cold.url, name: 'cold' });
    const first = await upstreams.openBlob(app, digest);
    assert.equal(first.upstream, 'hot');
    first.body.cancel();
    first.giveUp?.();
    const second = await upstreams.openBlob(app, digest);
    second.body.cancel();
    assert.equal(second.upstream, 'cold');
    const other = await upstreams.openBlob(app, digestOf(Buffer.from('other')));
    other.body.cancel();
    assert.equal(other.upstream, 'hot');
  });

  test('a signature that is refused is not the last word on the blob', async () => {
    const { answer, asked } = await open(({ url }) =>
      url === path ? { status: 307, headers: { location: '/signed' } } : { status: 403 },
    );
    assertFailure(answer, 'unavailable', /403 .*redirected/);
    assert.deepEqual(asked, [`GET ${path}`, 'GET /signed']);
  });

  test('a body that breaks off rejects, and the rest can be had from there', async () => {
    await using registry = await startScriptedUpstream({ personality: 'dockerHub' });
    registry.addBlob(app.repository, { mediaType: 'x', digest, size: bytes.length, bytes });
    registry.fault({ at: 'cdn' }, { cutAt: 60_000, times: 1 });
    await using upstreams = connectUpstreams({ url: registry.url });
    const { body } = await upstreams.openBlob(app, digest);
    await assert.rejects(readAll(body));
    const rest = await upstreams.openBlob(app, digest, { offset: 50_000 });
    assert.deepEqual(await readAll(rest.body), bytes.subarray(50_000));
  });
});

describe('headBlob', () => {
  test('takes the word of a HEAD for a blob without bytes, of which a GET could ask no first byte', async () => {
    const empty = digestOf(Buffer.alloc(0));
    const { answer, asked } = await ask(
      () => ({ body: Buffer.alloc(0) }),
      (upstreams) => upstreams.headBlob(app, empty),
    );
    assert.equal(answer.size, 0);
    assert.deepEqual(asked, [`HEAD /v2/library/app/blobs/${empty}`]);
  });

  test('is one HEAD', async () => {
    const { answer, asked } = await ask(
      () => ({}),
      (upstreams) => upstreams.headBlob(app, digest),
    );
    assert.deepEqual(answer, { size: bytes.length, upstream: 'reg', visibility: 'public' });
    assert.deepEqual(asked, [`HEAD ${path}`]);
  });

  test('is a GET of one byte where there is no HEAD', async () => {
    const { answer, asked } = await ask(
      ({ method }) => (method === 'HEAD' ? { status: 405 } : part(0, 0)),
      (upstreams) => upstreams.headBlob(app, digest),
    );
    assert.equal(answer.size, bytes.length);
    assert.deepEqual(asked, [`HEAD ${path}`, `GET ${path} bytes=0-0`]);
  });

  for (const length of [0, 7]) {
    test(`asks by GET where HEAD gives a length of ${length}, which the blob does not have`, async () => {
      const { answer, asked } = await ask(
        ({ method }) => (method === 'HEAD' ? { body: Buffer.alloc(length) } : part(0, 0)),
        (upstreams) => upstreams.headBlob(app, digest, length === 0 ? {} : { size: bytes.length }),
      );
      assert.equal(answer.size, bytes.length);
      assert.deepEqual(asked, [`HEAD ${path}`, `GET ${path} bytes=0-0`]);
    });
  }

  test('takes the size of the whole where Range is ignored too', async () => {
    const { answer } = await ask(
      ({ method }) => (method === 'HEAD' ? { status: 501 } : {}),
      (upstreams) => upstreams.headBlob(app, digest),
    );
    assert.equal(answer.size, bytes.length);
  });

  test('goes through the registry again where the URL was signed for GET alone (S3)', async () => {
    await using registry = await startScriptedUpstream({ personality: 'ecr', anonymous: true });
    registry.addBlob(app.repository, { mediaType: 'x', digest, size: bytes.length, bytes });
    await using upstreams = connectUpstreams({ url: registry.url });
    assert.equal((await upstreams.headBlob(app, digest)).size, bytes.length);
    assert.deepEqual(
      registry.requests.map(({ at, method, status }) => `${at} ${method} ${status}`),
      ['registry HEAD 307', 'cdn HEAD 403', 'registry GET 307', 'cdn GET 206'],
    );
  });

  test('a size that is not the manifest’s is wrong', async () => {
    const { answer } = await ask(
      () => ({ body: Buffer.from('<html>') }),
      (upstreams) => upstreams.headBlob(app, digest, { size: bytes.length }),
    );
    assertFailure(answer, 'invalid', /where the manifest says 100000/);
  });
});

describe('the meter of a body is over', () => {
  /** An address that refuses connections: its listener has gone. */
  async function deadUrl(): Promise<string> {
    const server = await serve(() => {});
    await server[Symbol.asyncDispose]();
    return server.url;
  }

  async function eventsOf(url: string, request: (origin: Origin) => Promise<unknown>): Promise<readonly string[]> {
    await using upstreams = connectUpstreams({ url, name: 'reg' });
    await request(upstreams).catch((error: unknown) => assert.ok(error instanceof Error));
    return upstreams.events.map(({ purpose, status, body }) => `${purpose} ${status} ${body?.isOver}`);
  }

  const openOne = (origin: Origin): ReturnType<Origin['openBlob']> => origin.openBlob(app, digest);

  test('where the connection is refused', async () => {
    assert.deepEqual(await eventsOf(await deadUrl(), openOne), ['blob 0 true']);
  });

  test('where a redirect leads to a host that refuses it', async () => {
    const location = `${await deadUrl()}/blob`;
    await using server = await serve((_, response) => response.writeHead(307, { location }).end());
    assert.deepEqual(await eventsOf(server.url, openOne), ['blob 307 true', 'redirect 0 true']);
  });

  test('where the upstream closes the connection without a response', async () => {
    await using server = await serve((_, response) => response.destroy());
    const events = await eventsOf(server.url, openOne);
    assert.ok(events.length > 0 && events.every((each) => each === 'blob 0 true'), events.join());
  });

  test('where the body is not read, or breaks off', async () => {
    await using server = await serve((_, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 1000), () => response.destroy());
    });
    const readIt = async (origin: Origin) => readAll((await openOne(origin)).body);
    assert.deepEqual(await eventsOf(server.url, readIt), ['blob 200 true']);
    const cancelIt = async (origin: Origin) => (await openOne(origin)).body.cancel();
    assert.deepEqual(await eventsOf(server.url, cancelIt), ['blob 200 true']);
  });

  test('where the caller leaves before the response', async () => {
    await using server = await serve(() => leave.abort());
    const leave = new AbortController();
    const aborted = (origin: Origin) => origin.openBlob(app, digest, { signal: leave.signal });
    assert.deepEqual(await eventsOf(server.url, aborted), ['blob 0 true']);
  });
});
