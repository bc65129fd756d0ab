import assert from 'node:assert/strict';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { describe, test } from 'node:test';
import {
  type ConnectedUpstreams,
  connectUpstreamsWith,
  readAll,
  serve,
} from '../../../test/support/connect-upstreams.ts';
import { noise } from '../../../test/support/image.ts';
import { type ConfiguredUpstream, digestOf, type OpenBlobOptions, type Repository } from '../../oci/index.ts';
import { UpstreamError } from '../error.ts';

const app: Repository = { registry: 'docker.io', repository: 'library/app' };
const bytes = noise('shared', 10_000);
const digest = digestOf(bytes);
const path = `/v2/library/app/blobs/${digest}`;

interface Reply {
  readonly status?: number;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Buffer;
  /** The connection breaks after the head. */
  readonly cut?: boolean;
}

interface Stage extends AsyncDisposable {
  readonly upstreams: ConnectedUpstreams;
  readonly storage: string;
  /** Of one transfer. */
  readonly read: (options?: OpenBlobOptions) => Promise<Buffer>;
  readonly asked: { registry: number; storage: string[] };
  clock: number;
}

/** Of the blob what is asked for. */
function partOf(request: IncomingMessage): Reply {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  if (from === undefined) return { body: bytes };
  const end = to === '' || to === undefined ? bytes.length - 1 : Number(to);
  const headers = { 'content-range': `bytes ${from}-${end}/${bytes.length}` };
  return { status: 206, headers, body: bytes.subarray(Number(from), end + 1) };
}

/**
 * A registry that signs a URL of its storage for each request, and that storage.
 *
 * @param play what the storage answers in place of the part; undefined: the part
 */
async function stage(
  play: (request: IncomingMessage, signature: number) => Reply | undefined = () => undefined,
  {
    upstream = {},
    registry,
  }: {
    readonly upstream?: Partial<ConfiguredUpstream>;
    readonly registry?: (request: IncomingMessage) => Reply | undefined;
  } = {},
): Promise<Stage> {
  const asked: Stage['asked'] = { registry: 0, storage: [] };
  const storage = await serve((request, response) => {
    const signature = Number(new URL(request.url ?? '', 'http://storage').searchParams.get('sig'));
    asked.storage.push(`${signature} ${request.headers.range ?? 'whole'}`);
    assert.equal(request.headers.authorization, undefined);
    const {
      status = 200,
      headers = {},
      body = Buffer.alloc(0),
      cut = false,
    } = play(request, signature) ?? partOf(request);
    response.writeHead(status, { 'content-length': body.length, ...headers });
    if (cut) response.flushHeaders();
    if (cut) setImmediate(() => response.destroy());
    else response.end(body);
  });
  const home = await serve((request, response) => {
    asked.registry += 1;
    const signed: Reply = { status: 307, headers: { location: `${storage.url}${request.url}?sig=${asked.registry}` } };
    const { status = 200, headers = {}, body = Buffer.alloc(0) } = registry?.(request) ?? signed;
    response.writeHead(status, { 'content-length': body.length, ...headers });
    response.end(body);
  });
  const made = { clock: Date.parse('2026-01-31T12:00:00Z') };
  const upstreams = connectUpstreamsWith({ now: () => made.clock }, { url: home.url, name: 'reg', ...upstream });
  const transfer = {};
  return Object.assign(made, {
    upstreams,
    storage: storage.url,
    asked,
    read: async (options?: OpenBlobOptions) =>
      readAll((await upstreams.openBlob(app, digest, { transfer, size: bytes.length, ...options })).body),
    async [Symbol.asyncDispose]() {
      await upstreams[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
    },
  });
}

const PARTS = [{ offset: 1000, end: 1999 }, { offset: 2000, end: 2999, partOnly: true }, { offset: 9000 }] as const;

async function readParts(read: Stage['read']): Promise<void> {
  for (const part of PARTS)
    assert.deepEqual(await read(part), bytes.subarray(part.offset, 'end' in part ? part.end + 1 : undefined));
}

describe('openBlob of one transfer', () => {
  test('asks the registry once: parts come from where the first request was redirected to', async () => {
    await using it = await stage();
    assert.deepEqual(await it.read(), bytes);
    await readParts(it.read);
    assert.deepEqual(it.asked, {
      registry: 1,
      storage: ['1 whole', '1 bytes=1000-1999', '1 bytes=2000-2999', '1 bytes=9000-'],
    });
    // To the log and the metrics they are what they would be after a redirect.
    assert.deepEqual(
      it.upstreams.events.map(({ purpose }) => purpose),
      ['blob', 'redirect', 'redirect', 'redirect', 'redirect'],
    );
    assert.ok(!JSON.stringify(it.upstreams.events).includes('sig='), 'no signature is told');
  });

  test('asks the registry for what is no part, for another transfer, and without a transfer', async () => {
    await using it = await stage();
    await it.read();
    await it.read();
    await it.read({ ...PARTS[0], transfer: {} });
    await it.read({ ...PARTS[0], transfer: undefined });
    assert.equal(it.asked.registry, 4);
  });

  for (const [what, reply] of [
    ...[400, 401, 403, 404, 410, 500, 503].map((status) => [`answers ${status}`, { status }] as const),
    [
      'has another size',
      { status: 206, headers: { 'content-range': 'bytes 1000-1999/2000' }, body: bytes.subarray(0, 1000) },
    ],
    [
      'gives another part',
      { status: 206, headers: { 'content-range': 'bytes 0-999/10000' }, body: bytes.subarray(0, 1000) },
    ],
    ['sends the whole, of another size', { body: bytes.subarray(0, 1500) }],
    ['redirects to where none may be followed', { status: 302, headers: { location: 'ftp://elsewhere/' } }],
  ] as readonly (readonly [string, Reply])[]) {
    test(`asks the registry again where the storage ${what}, and says nothing of the upstream's health`, async () => {
      await using it = await stage((request, signature) =>
        signature === 1 && request.headers.range !== undefined ? reply : undefined,
      );
      await it.read();
      await readParts(it.read);
      assert.equal(it.asked.registry, 2);
      assert.deepEqual(it.upstreams.health, []);
      assert.deepEqual(it.upstreams.failovers, []);
      assert.deepEqual(it.asked.storage.slice(1), [
        '1 bytes=1000-1999',
        '2 bytes=1000-1999',
        '2 bytes=2000-2999',
        '2 bytes=9000-',
      ]);
    });
  }

  test('asks the registry again once for all parts that the storage refuses', async () => {
    let arrived = 0;
    const all = Promise.withResolvers<void>();
    await using it = await stage((request, signature) =>
      signature === 1 && request.headers.range !== undefined ? { status: 403 } : undefined,
    );
    await it.read();
    const parts = Array.from({ length: 4 }, async (_, at) => {
      arrived += 1;
      if (arrived === 4) all.resolve();
      await all.promise;
      const offset = at * 1000;
      assert.deepEqual(await it.read({ offset, end: offset + 999 }), bytes.subarray(offset, offset + 1000));
    });
    await Promise.all(parts);
    assert.equal(it.asked.registry, 2);
  });

  test('leaves alone a storage that throttles: the registry would lead to it again', async () => {
    await using it = await stage((request) => (request.headers.range === undefined ? undefined : { status: 429 }));
    await it.read();
    const [first, second] = PARTS;
    await assert.rejects(it.read(second), { kind: 'throttled' });
    await assert.rejects(it.read(first), { kind: 'throttled' });
    assert.equal(it.asked.registry, 1);
    assert.equal(it.asked.storage.length, 2, 'one that throttles is not asked again at once');
    assert.deepEqual(
      it.upstreams.health.map(({ scope, state }) => `${scope} ${state}`),
      ['blob open'],
    );
  });

  test('asks the registry again after a body that broke off before its first byte', async () => {
    let isCut = false;
    await using it = await stage((request) => {
      if (isCut || request.headers.range === undefined) return undefined;
      isCut = true;
      return { ...partOf(request), cut: true };
    });
    await it.read();
    await assert.rejects(it.read(PARTS[0]));
    await readParts(it.read);
    assert.equal(it.asked.registry, 2);
    assert.deepEqual(it.upstreams.health, []);
  });

  test('asks the registry again after five minutes', async () => {
    await using it = await stage();
    await it.read();
    it.clock += 5 * 60_000;
    await readParts(it.read);
    assert.equal(it.asked.registry, 2);
  });

  test('goes on while the registry is down', async () => {
    let isDown = false;
    await using it = await stage(undefined, {
      registry: () => (isDown ? { status: 503, headers: { 'retry-after': '60' } } : undefined),
    });
    await it.read();
    isDown = true;
    await assert.rejects(it.read({ transfer: {} }), UpstreamError);
    await readParts(it.read);
  });

  test('ends with the right to pull: where the storage refuses, the registry decides', async () => {
    let isOver = false;
    await using it = await stage(() => (isOver ? { status: 403 } : undefined), {
      registry: () => (isOver ? { status: 403, headers: {} } : undefined),
    });
    await it.read();
    isOver = true;
    await assert.rejects(it.read(PARTS[1]), { kind: 'denied' });
  });

  test('follows the redirects of a storage by the same rules', async () => {
    await using other = await serve((request, response) => {
      const { status = 200, headers = {}, body } = partOf(request);
      response.writeHead(status, headers).end(body);
    });
    let to = `${other.url}/there`;
    let registry = 0;
    await using it = await stage(
      (request) => (request.headers.range === undefined ? undefined : { status: 307, headers: { location: to } }),
      { registry: () => ((registry += 1), undefined), upstream: { redirectHosts: ['127.0.0.1'] } },
    );
    await it.read();
    await readParts(it.read);
    assert.equal(registry, 1);
    to = to.replace('127.0.0.1', 'localhost');
    await assert.rejects(it.read(PARTS[0]), /localhost, which is not in redirect_hosts/);
  });

  test('does not share what the registry leads to on its own origin: that takes the credential', async () => {
    await using it = await stage(undefined, {
      registry: (request) =>
        request.url === path ? { status: 307, headers: { location: `/files/${digest}` } } : partOf(request),
    });
    await it.read();
    await it.read(PARTS[0]);
    assert.equal(it.asked.registry, 4);
  });

  test('keeps what is private private', async () => {
    const credentials = { username: 'me', password: 'secret' };
    await using it = await stage(undefined, {
      upstream: { credentials },
      registry: ({ headers }) =>
        headers.authorization === undefined
          ? { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }
          : undefined,
    });
    await it.read();
    const transfer = {};
    for (const part of [{}, ...PARTS]) {
      const { visibility, body } = await it.upstreams.openBlob(app, digest, { transfer, ...part });
      body.cancel();
      assert.equal(visibility, 'private');
    }
    // The first one is challenged.
    assert.equal(it.asked.registry, 3);
  });
});
