import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ReceivedSpan, readOtlp } from '../../../test/support/collector.ts';
import { digestOf } from '../../oci/index.ts';
import { type Events, type RequestFinished, Telemetry, type UpstreamRequestEnded } from '../events.ts';
import { createTracing, type TracingOptions } from './tracing.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const DIGEST = digestOf(Buffer.from('a layer'));

const FINISHED: Omit<RequestFinished, 'id'> = {
  method: 'GET',
  path: `/v2/library/app/blobs/${DIGEST}`,
  status: 200,
  bytes: 7,
  durationMs: 12,
  client: '10.0.0.1',
  userAgent: 'test',
  route: 'registry',
  registry: 'docker.io',
  repository: 'library/app',
  upstream: 'hub',
  cache: 'MISS',
  error: undefined,
};

const ASKED: UpstreamRequestEnded = {
  registry: 'docker.io',
  upstream: 'hub',
  method: 'GET',
  url: 'https://registry-1.docker.io/v2/library/app/blobs/x',
  status: 200,
  durationMs: 3,
  purpose: 'blob',
};

const INGEST = { id: 't1', registry: 'docker.io', repository: 'library/app', digest: DIGEST, upstream: 'hub' };

type Started = Partial<Events['request.started']>;

/** Events as a server publishes them, and the spans that come of them. */
async function spansOf(
  happen: (stage: {
    readonly telemetry: Telemetry;
    readonly request: (id: string, work: () => unknown, started?: Started) => Promise<void>;
  }) => unknown,
  options: Partial<TracingOptions> = {},
): Promise<readonly ReceivedSpan[]> {
  const telemetry = new Telemetry();
  const spans: ReceivedSpan[] = [];
  const tracing = createTracing(telemetry, {
    sample: 1,
    serviceName: 'entrepot',
    version: '1.2.3',
    timeout: 1000,
    send(body) {
      const { spans: sent, resource } = readOtlp(body);
      assert.equal(resource['service.name'], 'entrepot');
      assert.equal(resource['service.version'], '1.2.3');
      spans.push(...sent);
      return Promise.resolve({ kind: 'taken', rejected: 0, reason: undefined });
    },
    ...options,
  });
  await happen({
    telemetry,
    async request(id, work, started = {}) {
      // As the server: in an asynchronous context of its own, with the end published outside of it.
      await new Promise<void>((resolve, reject) => {
        setImmediate(() => {
          const begun = { id, traceparent: undefined, tracestate: undefined, isTrusted: false, ...started };
          telemetry.publish('request.started', begun);
          Promise.resolve()
            .then(work)
            .then(() => resolve(), reject);
        });
      });
      telemetry.publish('request.finished', { ...FINISHED, id });
    },
  });
  await tracing.close();
  return spans;
}

function named(spans: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const found = spans.find((each) => each.name === name);
  assert.ok(found, `${name} is not among ${spans.map((each) => each.name).join(', ')}`);
  return found;
}

const BLOB_SPAN = 'GET /v2/{name}/blobs/{digest}';

describe('a trace', () => {
  test('has the request, and below it what upstreams were asked for it', async () => {
    const spans = await spansOf(({ telemetry, request }) =>
      request('r1', async () => {
        telemetry.publish('cache.decision', { ...INGEST, reference: 'latest', outcome: 'MISS', reason: 'not cached' });
        telemetry.publish('upstream.failover', { registry: 'docker.io', from: 'a', to: 'hub', reason: 'answered 500' });
        telemetry.publish('upstream.request', { ...ASKED, status: 0, error: 'reset' });
        await new Promise(setImmediate);
        telemetry.publish('upstream.request', ASKED);
      }),
    );
    assert.equal(spans.length, 3);
    const root = named(spans, BLOB_SPAN);
    assert.equal(root.kind, 2);
    assert.equal(root.parentSpanId, undefined);
    assert.equal(root.status, undefined);
    assert.equal(BigInt(root.endTimeUnixNano) - BigInt(root.startTimeUnixNano), 12_000_000n);
    assert.partialDeepStrictEqual(root.attributes, {
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'http.route': '/v2/{name}/blobs/{digest}',
      'entrepot.registry': 'docker.io',
      'entrepot.repository': 'library/app',
      'entrepot.reference': DIGEST,
      'entrepot.reference.kind': 'digest',
      'entrepot.cache': 'MISS',
      'entrepot.cache.reason': 'not cached',
      'entrepot.request.id': 'r1',
    });
    assert.deepEqual(
      root.events.map(({ name, attributes }) => [name, attributes['entrepot.upstream.to']]),
      [['failover', 'hub']],
    );
    const [first, second] = spans.filter(({ kind }) => kind === 3);
    for (const child of [first, second]) {
      assert.equal(child?.traceId, root.traceId);
      assert.equal(child?.parentSpanId, root.spanId);
    }
    assert.equal(first?.status?.code, 2);
    assert.equal(first?.attributes['error.type'], 'reset');
    assert.equal(second?.attributes['http.request.resend_count'], 1);
    assert.equal(second?.attributes['server.address'], 'registry-1.docker.io');
    assert.equal(second?.attributes['server.port'], 443);
  });

  test('keeps requests that run at the same time apart', async () => {
    const spans = await spansOf(({ telemetry, request }) =>
      Promise.all(
        ['a', 'b', 'c'].map((id) =>
          request(id, async () => {
            for (let turn = 0; turn < 5; turn += 1) {
              await new Promise(setImmediate);
              telemetry.publish('upstream.request', { ...ASKED, upstream: id });
            }
          }),
        ),
      ),
    );
    const roots = new Map(
      spans.flatMap((each) => (each.kind === 2 ? [[each.spanId, each.attributes['entrepot.request.id']]] : [])),
    );
    const children = spans.filter(({ kind }) => kind === 3);
    assert.equal(children.length, 15);
    for (const { parentSpanId = '', attributes } of children)
      assert.equal(roots.get(parentSpanId), attributes['entrepot.upstream']);
  });

  test('has the transfer below the request that started it, linked with those that joined', async () => {
    const spans = await spansOf(async ({ telemetry, request }) => {
      const joined = Promise.withResolvers<void>();
      await Promise.all([
        request('first', async () => {
          telemetry.publish('ingest.started', INGEST);
          telemetry.publish('ingest.resumed', { ...INGEST, offset: 3, reason: 'reset at https://cdn/x?sig=SECRET' });
          await joined.promise;
          telemetry.publish('ingest.finished', { ...INGEST, bytes: 7, durationMs: 5, outcome: 'committed' });
        }),
        request('second', () => {
          telemetry.publish('ingest.joined', { ...INGEST, followers: 2 });
          joined.resolve();
        }),
      ]);
    });
    const transfer = named(spans, 'transfer');
    const byId = (id: string) => spans.find(({ attributes }) => attributes['entrepot.request.id'] === id);
    assert.equal(transfer.parentSpanId, byId('first')?.spanId);
    assert.deepEqual(
      transfer.links.map(({ spanId }) => spanId),
      [byId('second')?.spanId],
    );
    assert.deepEqual(
      byId('second')?.links.map(({ spanId }) => spanId),
      [transfer.spanId],
    );
    assert.equal(transfer.events[0]?.name, 'resumed');
    assert.equal(transfer.attributes['entrepot.transfer.bytes'], 7);
    assert.doesNotMatch(JSON.stringify(spans), /SECRET/);
  });

  test('goes on from a trusted proxy, as it decided; a client’s own is only linked', async () => {
    const traceparent = `00-${TRACE}-${SPAN}-01`;
    const spans = await spansOf(
      async ({ request }) => {
        await request('trusted', () => undefined, { traceparent, tracestate: 'a=1', isTrusted: true });
        await request('unsampled', () => undefined, { traceparent: `00-${TRACE}-${SPAN}-00`, isTrusted: true });
        await request('client', () => undefined, { traceparent });
      },
      { sample: 0 },
    );
    assert.equal(spans.length, 1, 'sampled by the proxy alone');
    assert.equal(spans[0]?.traceId, TRACE);
    assert.equal(spans[0]?.parentSpanId, SPAN);
    assert.equal(spans[0]?.traceState, 'a=1');

    const [own] = await spansOf(({ request }) => request('client', () => undefined, { traceparent }));
    assert.notEqual(own?.traceId, TRACE);
    assert.deepEqual(
      own?.links.map(({ traceId, spanId }) => [traceId, spanId]),
      [[TRACE, SPAN]],
    );
  });

  test('that is not sampled has no spans at all', async () => {
    const spans = await spansOf(
      ({ telemetry, request }) =>
        request('r', () => {
          telemetry.publish('ingest.started', INGEST);
          telemetry.publish('upstream.request', ASKED);
          telemetry.publish('ingest.finished', { ...INGEST, bytes: 7, durationMs: 5, outcome: 'committed' });
        }),
      { sample: 0 },
    );
    assert.deepEqual(spans, []);
  });

  test('is not made of a probe or a scrape', async () => {
    const spans = await spansOf(({ telemetry }) => {
      for (const route of ['health', 'metrics', 'help'])
        telemetry.publish('request.finished', { ...FINISHED, id: route, path: `/${route}`, route });
    });
    assert.deepEqual(
      spans.map(({ name }) => name),
      ['GET help'],
    );
  });

  test('says what failed', async () => {
    const [span] = await spansOf(({ telemetry }) =>
      telemetry.publish('request.finished', {
        ...FINISHED,
        id: 'x',
        method: 'BREW',
        path: '/v2/app/manifests/latest',
        status: 502,
        error: 'https://up/x?token=SECRET failed with Bearer abcDEF123',
        userAgent: `agent ${'x'.repeat(5000)}\ud800`,
      }),
    );
    assert.equal(span?.name, 'HTTP /v2/{name}/manifests/{reference}');
    assert.equal(span?.status?.code, 2);
    assert.equal(span?.attributes['http.request.method'], '_OTHER');
    assert.equal(span?.attributes['error.type'], '502');
    assert.equal(span?.attributes['entrepot.reference.kind'], 'tag');
    assert.doesNotMatch(JSON.stringify(span), /SECRET|abcDEF123/);
    assert.ok(String(span?.attributes['user_agent.original']).length <= 1025);
  });

  test('that cannot be sent is counted, and is one warning', async () => {
    const telemetry = new Telemetry();
    const warnings: string[] = [];
    const fates: Events['trace.spans'][] = [];
    telemetry.on('warning', ({ message }) => warnings.push(message));
    telemetry.on('trace.spans', (event) => fates.push(event));
    const tracing = createTracing(telemetry, {
      sample: 1,
      serviceName: 'entrepot',
      version: '1',
      timeout: 1000,
      interval: 1,
      send: () => Promise.resolve({ kind: 'refused', reason: 'http://collector answered 401' }),
    });
    for (let each = 0; each < 200; each += 1) telemetry.publish('request.finished', { ...FINISHED, id: `${each}` });
    await tracing.close();
    telemetry.publish('request.finished', { ...FINISHED, id: 'after' });
    assert.deepEqual(
      fates.map(({ outcome, spans }) => [outcome, spans]),
      [
        ['failed', 128],
        ['failed', 72],
      ],
    );
    assert.equal(warnings.length, 1);
    assert.match(String(warnings[0]), /Cannot export traces: .*answered 401.*tracing\.endpoint/);
  });
});
