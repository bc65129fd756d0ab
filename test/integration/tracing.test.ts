import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Collector, type ReceivedSpan, startCollector } from '../support/collector.ts';
import { buildImage } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Gate } from '../support/scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

/*
 * A server that sends its traces to a collector, and a collector that is slow, wrong or not there.
 */

const image = buildImage({ seed: 'traced', layers: [300_000], architectures: ['amd64'] });
const [platform] = image.platforms;
const layer = platform?.layers[0]?.digest ?? '';
const MANIFEST = '/v2/library/app/manifests/latest';
const LAYER = `/v2/library/app/blobs/${layer}`;
const SECRET = 'Bearer of-the-collector';

let upstream: ScriptedUpstream;
before(async () => {
  // Tokens, redirects to a CDN with signed URLs: everything that could leak into a trace.
  upstream = await startScriptedUpstream({ personality: 'dockerHub' });
  upstream.add(image, 'library/app', ['latest']);
});
after(() => upstream.stop());

function start(collector: Pick<Collector, 'url'>, config: object = {}): Promise<Mirror> {
  return startMirror({
    registries: { 'docker.io': { upstreams: [upstream.url] } },
    tracing: { endpoint: collector.url, headers: { Authorization: SECRET } },
    ...config,
  });
}

function childrenOf({ spanId }: ReceivedSpan, spans: readonly ReceivedSpan[]): readonly ReceivedSpan[] {
  return spans.filter(({ parentSpanId }) => parentSpanId === spanId);
}

function theOne(spans: readonly ReceivedSpan[], fits: (span: ReceivedSpan) => boolean): ReceivedSpan {
  const found = spans.filter(fits);
  assert.equal(
    found.length,
    1,
    JSON.stringify(
      spans.map(({ name, attributes }) => [name, attributes]),
      null,
      1,
    ),
  );
  return found[0] as ReceivedSpan;
}

describe('traces', () => {
  test('follow a pull to its upstreams, and hold no secret', async () => {
    await using collector = await startCollector();
    await using mirror = await start(collector);
    assert.equal((await mirror.get(MANIFEST)).status, 200);
    assert.equal((await mirror.get(LAYER)).status, 200);
    await mirror.logged(({ msg, digest }) => msg === 'ingest.finished' && digest === layer);
    assert.equal((await mirror.get(LAYER)).headers['x-cache'], 'HIT');
    await mirror.stop();

    const { spans, complaints, requests } = collector;
    assert.deepEqual(complaints, []);
    for (const { path, headers } of requests) {
      assert.equal(path, '/v1/traces');
      assert.equal(headers['authorization'], SECRET);
      assert.equal(headers['content-type'], 'application/json');
    }
    const miss = theOne(
      spans,
      (each) => each.kind === 2 && each.attributes['entrepot.cache'] === 'MISS' && each.name.includes('blobs'),
    );
    const below = childrenOf(miss, spans);
    const purposes = below
      .map(({ attributes }) => attributes['entrepot.upstream.purpose'])
      .filter((each) => each !== undefined);
    assert.ok(purposes.includes('blob') && purposes.includes('redirect'), purposes.join());
    const transfer = theOne(
      spans,
      (each) => each.name === 'transfer' && each.attributes['entrepot.reference'] === layer,
    );
    assert.equal(transfer.parentSpanId, miss.spanId);
    assert.equal(transfer.attributes['entrepot.transfer.outcome'], 'committed');
    assert.equal(transfer.attributes['entrepot.transfer.bytes'], platform?.layers[0]?.size);
    const hit = theOne(spans, (each) => each.attributes['entrepot.cache'] === 'HIT');
    assert.deepEqual(childrenOf(hit, spans), []);
    assert.notEqual(hit.traceId, miss.traceId);
    // Signed URLs, tokens, credentials.
    assert.doesNotMatch(JSON.stringify(spans), /[?&][\w-]+=|Bearer|of-the-collector/i);
    const leaked = upstream.requests.filter(({ headers }) => headers['traceparent'] !== undefined);
    assert.deepEqual(leaked, []);
  });

  test('link a transfer with the requests that joined it', async () => {
    await using collector = await startCollector();
    const gate = new Gate();
    upstream.fault(layer, { stallAt: 1000, stallGate: gate, times: 1 });
    await using mirror = await start(collector);
    const first = mirror.get(LAYER);
    await mirror.logged(({ msg }) => msg === 'ingest.started');
    const second = mirror.get(LAYER);
    await mirror.logged(({ msg }) => msg === 'ingest.joined');
    gate.open();
    await Promise.all([first, second]);
    await mirror.stop();
    const { spans } = collector;
    const transfer = theOne(spans, ({ name }) => name === 'transfer');
    const joined = theOne(spans, ({ attributes }) => attributes['entrepot.cache'] === 'JOIN');
    assert.deepEqual(
      transfer.links.map(({ spanId }) => spanId),
      [joined.spanId],
    );
    assert.deepEqual(
      joined.links.map(({ spanId }) => spanId),
      [transfer.spanId],
    );
  });

  test('go on from a trusted proxy alone', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const traces = async (config: object): Promise<ReceivedSpan> => {
      await using collector = await startCollector();
      await using mirror = await start(collector, config);
      await mirror.get(MANIFEST, { traceparent });
      await mirror.stop();
      return theOne(collector.spans, ({ kind }) => kind === 2);
    };
    const trusted = await traces({ trusted_proxies: ['127.0.0.1'] });
    assert.equal(trusted.traceId, '0af7651916cd43dd8448eb211c80319c');
    assert.equal(trusted.parentSpanId, 'b7ad6b7169203331');
    const own = await traces({});
    assert.notEqual(own.traceId, trusted.traceId);
    assert.equal(own.parentSpanId, undefined);
    assert.equal(own.links[0]?.spanId, 'b7ad6b7169203331');
  });

  test('are not made without an endpoint, and an endpoint takes a restart', async () => {
    await using collector = await startCollector();
    const config = { registries: { 'docker.io': { upstreams: [upstream.url] } } };
    await using mirror = await startMirror(config);
    const { restart } = await mirror.reload({ ...config, tracing: { endpoint: collector.url } });
    assert.deepEqual(restart, ['tracing.endpoint']);
    await mirror.get(MANIFEST);
    await mirror.stop();
    assert.deepEqual(collector.requests, []);
  });
});

describe('a collector', () => {
  /** What the metrics say of spans, by outcome. */
  async function fates(mirror: Mirror): Promise<Record<string, number>> {
    const text = (await mirror.get('/metrics')).body.toString();
    const found = text.matchAll(/^entrepot_trace_spans_total\{outcome="(\w+)"\} (\d+)$/gm);
    return Object.fromEntries(Array.from(found, ([, outcome = '', count]) => [outcome, Number(count)]));
  }

  test('that fails for a while gets the spans later; pulls do not wait', async () => {
    await using collector = await startCollector();
    collector.mood = 503;
    await using mirror = await start(collector);
    const asked = collector.asked();
    assert.equal((await mirror.get(MANIFEST)).status, 200);
    await asked;
    collector.mood = 'well';
    await collector.received(({ kind }) => kind === 2);
    assert.ok((await fates(mirror))['exported']);
    const warnings = mirror.log.filter(({ msg }) => msg.startsWith('Cannot export traces'));
    assert.equal(warnings.length, 1);
    assert.match(String(warnings[0]?.msg), /\/v1\/traces answered 503\. Pulls are not affected/);
    assert.doesNotMatch(JSON.stringify(mirror.log), /of-the-collector/);
  });

  for (const [mood, what] of [
    [400, 'that refuses them'],
    [{ rejects: 1 }, 'that takes them in part'],
    ['reset', 'that cuts the connection'],
  ] as const)
    test(`${what} is a warning at the stop, and fails nothing`, async () => {
      await using collector = await startCollector();
      collector.mood = mood;
      await using mirror = await start(collector);
      assert.equal((await mirror.get(MANIFEST)).status, 200);
      await mirror.stop();
      assert.ok(collector.requests.length > 0);
      assert.ok(mirror.log.some(({ msg }) => msg.startsWith('Cannot export traces')));
    });

  test('that is not there is a warning, and the stop takes no longer', async () => {
    const gone = await startCollector();
    await gone[Symbol.asyncDispose]();
    await using mirror = await start(gone);
    assert.equal((await mirror.get(MANIFEST)).status, 200);
    await mirror.stop();
    const warning = mirror.log.find(({ msg }) => msg.startsWith('Cannot export traces'));
    assert.match(String(warning?.msg), /cannot be reached/);
  });

  test('that never answers holds the stop until the shutdown deadline, no longer', async () => {
    await using collector = await startCollector();
    collector.mood = 'hang';
    await using mirror = await start(collector, { timeouts: { shutdown_timeout: '1s' } });
    assert.equal((await mirror.get(MANIFEST)).status, 200);
    const begun = performance.now();
    await mirror.stop();
    const took = performance.now() - begun;
    // The exporter's own limits are 5 s for a stop and 10 s for an answer.
    assert.ok(took < 4500, `${took} ms`);
  });
});
