import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, platformOf } from '../support/image.ts';
import { startMirror } from '../support/mirror.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

// An upstream that stands one connection and no second one, for as long as it likes.

const MB = 1024 * 1024;

for (const [name, fault] of [
  ['throttles every other request for minutes', { status: 429, headers: { 'retry-after': '120' } }],
  ['answers every other request with 503', { status: 503 }],
  ['refuses every other request', { status: 403 }],
  ['closes every other connection', { reset: true }],
  ['never answers another request', { stallAfter: 0 }],
] as const) {
  test(`a large blob comes whole where the upstream ${name}`, async () => {
    await using upstream = await startScriptedUpstream();
    const image = buildImage({ seed: name, layers: [8 * MB], architectures: ['amd64'] });
    upstream.add(image, 'large/app', ['latest']);
    const [layer] = platformOf(image, 'amd64').layers;
    assert.ok(layer !== undefined);
    upstream.fault(layer.digest, { bytesPerSecond: 3 * MB });
    let refused = 0;
    upstream.fault(({ range }) => range !== undefined, { ...fault, onStrike: () => (refused += 1) });
    await using mirror = await startMirror({
      default_registry: 'hub',
      registries: { hub: { upstreams: [{ url: upstream.url }] } },
      transfer: { min_segment: MB },
    });
    const { status, body } = await mirror.get(`/v2/large/app/blobs/${layer.digest}`);
    assert.equal(status, 200);
    assert.ok(body.equals(layer.bytes), `${body.length} bytes came\n${upstream.journal()}`);
    assert.ok(refused > 0, 'another connection was tried');
    assert.ok(refused <= 4, `it was asked ${refused} times more`);
  });
}
