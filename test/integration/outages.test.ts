import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { buildImage, type Content } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { freePort } from '../support/processes.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

// Upstreams that are down or have had enough, as clients and operators see it.

const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'outages', layers: [50_000] });
const layer = image.platforms[0]?.layers[0] as Content;
const manifest = `/up/v2/${REPOSITORY}/manifests/latest`;

async function secondsToStart(start: () => Promise<Mirror>): Promise<number> {
  const startedAt = performance.now();
  await using _mirror = await start();
  return (performance.now() - startedAt) / 1000;
}

describe('a start', () => {
  test('dials no upstream, so that it takes no longer with every upstream down or mute', async () => {
    let dialled = 0;
    // Takes connections and never says a word: a client that waits for it waits for long.
    const mute = createServer((socket) => {
      dialled += 1;
      socket.on('error', () => undefined);
    });
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    try {
      const address = mute.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const upstreams = [
        { url: `http://127.0.0.1:${port}`, name: 'mute', credentials: { username: 'u', password: 'p' } },
        { url: `https://127.0.0.1:${port}`, name: 'mute-tls' },
        { url: `http://127.0.0.1:${await freePort()}`, name: 'closed' },
      ];
      const down = { up: { upstreams } };
      const seconds = await secondsToStart(() => startMirror({ registries: down }));
      assert.ok(seconds < 5, `it took ${seconds} s, and no upstream would have answered for ten`);
      await using mirror = await startMirror({ registries: down });
      assert.equal((await mirror.get('/readyz')).status, 200);
      assert.deepEqual((await mirror.app.status()).upstreams, []);
      assert.equal(dialled, 0);
    } finally {
      mute.close();
    }
  });
});

describe('an upstream that is down', () => {
  test('is told of once in the log, in the status and in the metrics, and clients are told when to come again', async () => {
    await using hub = await startScriptedUpstream();
    hub.fault({}, { status: 503, headers: { 'retry-after': '50' } });
    await using mirror = await startMirror({ registries: { up: { upstreams: [{ url: hub.url, name: 'hub' }] } } });
    const first = await mirror.get(`/up/v2/${REPOSITORY}/blobs/${layer.digest}`);
    assert.equal(first.status, 503);
    const second = await mirror.get(`/up/v2/${REPOSITORY}/tags/list`);
    assert.equal(second.status, 503);
    assert.match(second.headers['retry-after'] ?? '', /^[1-5]\d$/);
    assert.match(second.body.toString(), /hub is not asked for another \d\d s, as it is failing since .*answered 503/);
    assert.equal(hub.count(), 1);
    assert.doesNotMatch(second.body.toString(), /sha256/, 'nor what others asked for');

    const line = await mirror.logged(({ msg }) => msg === 'upstream.health');
    assert.deepEqual([line.level, line['upstream'], line['state'], line['scope']], ['warn', 'hub', 'open', 'all']);
    assert.equal(mirror.log.filter(({ msg, level }) => msg === 'upstream.health' && level === 'warn').length, 1);
    const [status] = (await mirror.app.status()).upstreams ?? [];
    assert.deepEqual([status?.registry, status?.upstream, status?.scope], ['up', 'hub', 'all']);
    assert.equal(status?.reason, 'it answered 503');
    const metrics = (await mirror.get('/metrics')).body.toString();
    assert.match(metrics, /^entrepot_upstream_up\{registry="up",upstream="hub"\} 0$/m);
    assert.match(metrics, /^entrepot_upstream_openings_total\{registry="up",upstream="hub",scope="all"\} 1$/m);
  });
});

describe('an upstream that throttles', () => {
  test('goes on sending the layers of what was pulled', async () => {
    await using hub = await startScriptedUpstream({ personality: 'dockerHub' });
    hub.add(image, REPOSITORY, ['latest']);
    await using mirror = await startMirror({ registries: { up: { upstreams: [{ url: hub.url, name: 'hub' }] } } });
    assert.equal((await mirror.get(manifest)).status, 200);
    const platform = image.platforms[0]?.manifest as Content;
    assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/manifests/${platform.digest}`)).status, 200);
    hub.fault({ kind: 'manifest', method: 'GET' }, { status: 429, headers: { 'retry-after': '600' } });
    const other = `/up/v2/${REPOSITORY}/manifests/${image.platforms[1]?.manifest.digest}`;
    const refused = await mirror.get(other);
    assert.deepEqual([refused.status, refused.headers['retry-after']], [429, '600']);
    const again = await mirror.get(other);
    assert.equal(again.status, 429);
    assert.match(again.body.toString(), /hub is not asked for manifests for another \d+ s/);
    assert.match(again.headers['retry-after'] ?? '', /^\d+$/);
    const blob = await mirror.get(`/up/v2/${REPOSITORY}/blobs/${layer.digest}`);
    assert.deepEqual([blob.status, blob.body.equals(layer.bytes)], [200, true]);
    const [status] = (await mirror.app.status()).upstreams ?? [];
    assert.equal(status?.scope, 'pull');
    assert.equal(status?.quota?.[0]?.credential, 'anonymous');
  });
});
