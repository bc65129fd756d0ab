import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectUpstreamsWith, readAll } from '../../test/support/connect-upstreams.ts';
import { buildImage, type Content, platformOf } from '../../test/support/image.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import { digestOf, type Repository } from '../oci/index.ts';

// What is measured of an upstream, over real connections.

const MIB = 1024 * 1024;
const image = buildImage({ architectures: ['amd64'], layers: [300_000, 2 * MIB] });
const [small, large] = platformOf(image, 'amd64').layers as readonly [Content, Content];
const app: Repository = { registry: 'docker.io', repository: 'library/app' };
const manifest = { kind: 'digest', digest: image.index.digest } as const;
const absent = digestOf(Buffer.from('absent'));

/** No upstream is tried out of its turn. */
const RARELY = 0.999;

const strategy = { by: 'fastest', tags: false, weights: new Map() } as const;

/** Two names of one upstream, so that there is an order. */
function connect({ url }: ScriptedUpstream) {
  return connectUpstreamsWith({ strategy, random: () => RARELY }, { url, name: 'first' }, { url, name: 'second' });
}

type Connected = ReturnType<typeof connect>;

async function first(origin: Connected, content: 'manifest' | 'blob') {
  const route = await origin.routeOf({ content, method: 'GET', repository: app.repository, reference: manifest });
  const found = route.find(({ upstream }) => upstream === 'first');
  assert.ok(found);
  return found;
}

describe('the time of an upstream', () => {
  test('is that of answers with content: one that lacks the content is not fast', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository);
    await using origin = connect(registry);
    await assert.rejects(origin.getManifest(app, { kind: 'digest', digest: absent }));
    assert.equal((await first(origin, 'manifest')).latencyMs, undefined);
    await origin.getManifest(app, manifest);
    assert.ok(((await first(origin, 'manifest')).latencyMs ?? 0) > 0);
  });

  test('has neither the token nor the challenge for it', async () => {
    await using registry = await startScriptedUpstream({ personality: 'dockerHub' });
    registry.add(image, app.repository);
    registry.fault({ at: 'token' }, { delay: 1000 });
    registry.fault({ at: 'registry' }, { delay: 1000, times: 1 });
    await using origin = connect(registry);
    await origin.getManifest(app, manifest);
    const { latencyMs = 0 } = await first(origin, 'manifest');
    assert.ok(latencyMs > 0 && latencyMs < 1000, `${latencyMs}`);
  });

  test('has the redirects to its storage', async () => {
    await using registry = await startScriptedUpstream({ personality: 'dockerHub' });
    registry.add(image, app.repository);
    registry.fault({ at: 'cdn' }, { delay: 200 });
    registry.fault({ at: 'registry', kind: 'blob' }, { delay: 100 });
    await using origin = connect(registry);
    await readAll((await origin.openBlob(app, small.digest)).body);
    const { latencyMs = 0 } = await first(origin, 'blob');
    assert.ok(latencyMs >= 295, `${latencyMs}`);
  });

  test('has the rate of a blob, once a strategy needs it', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository);
    registry.fault({ kind: 'blob' }, { bytesPerSecond: 4 * MIB });
    await using origin = connect(registry);
    await readAll((await origin.openBlob(app, large.digest)).body);
    const { bytesPerSecond = 0 } = await first(origin, 'blob');
    assert.ok(bytesPerSecond > 0 && bytesPerSecond < 8 * MIB, `${bytesPerSecond}`);
    await using ordered = connectUpstreamsWith({}, { url: registry.url, name: 'first' });
    await readAll((await ordered.openBlob(app, large.digest)).body);
    assert.equal((await first(ordered, 'blob')).bytesPerSecond, undefined);
  });
});
