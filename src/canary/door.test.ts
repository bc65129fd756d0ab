import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Mirror, startMirror } from '../../test/support/mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import { atOnce } from '../lib/index.ts';
import { digestOf, parseManifest } from '../oci/index.ts';
import type { CanaryView } from './index.ts';
import { CANARY_REPOSITORY, newCanaryTag } from './index.ts';

let upstream: ScriptedUpstream;
let mirror: Mirror;
before(async () => {
  upstream = await startScriptedUpstream();
  mirror = await startMirror({
    registries: { 'docker.io': { upstreams: [upstream.url] }, 'ghcr.io': { upstreams: [upstream.url] } },
  });
});
after(async () => {
  await mirror.stop();
  await upstream.stop();
});

async function viewOf(tag: string): Promise<CanaryView> {
  const { status, body } = await mirror.get(`/canary/${tag}`);
  assert.equal(status, 200);
  return JSON.parse(body.toString()) as CanaryView;
}

describe('a canary', () => {
  test('is pulled whole, and its digests hold', async () => {
    const tag = newCanaryTag();
    const base = `/v2/${CANARY_REPOSITORY}`;
    const head = await mirror.head(`${base}/manifests/${tag}`);
    const digest = String(head.headers['docker-content-digest']);
    const index = await mirror.get(`${base}/manifests/${digest}`);
    assert.deepEqual([head.status, index.status, digestOf(index.body)], [200, 200, digest]);
    const { manifests } = atOnce(parseManifest(index.body, String(index.headers['content-type'])));
    assert.ok(manifests.length > 5);
    for (const child of manifests) {
      const manifest = await mirror.get(`${base}/manifests/${child.digest}`);
      assert.equal(digestOf(manifest.body), child.digest);
      for (const { digest: blob, size } of atOnce(parseManifest(manifest.body, child.mediaType)).blobs) {
        const { body } = await mirror.get(`${base}/blobs/${blob}`);
        assert.deepEqual([digestOf(body), body.length], [blob, size]);
      }
    }
    assert.equal(upstream.requests.length, 0);
  });

  const names: readonly (readonly [path: string, registry: string, namedBy: string])[] = [
    ['/v2/entrepot-canary/manifests/TAG', 'docker.io', 'default'],
    ['/v2/library/entrepot-canary/manifests/TAG?ns=docker.io', 'docker.io', 'ns'],
    ['/v2/library/entrepot-canary/manifests/TAG?ns=ghcr.io', 'ghcr.io', 'ns'],
    ['/v2/ghcr.io/library/entrepot-canary/manifests/TAG', 'ghcr.io', 'path'],
    ['/ghcr/v2/library/entrepot-canary/manifests/TAG', 'ghcr.io', 'prefix'],
  ];
  for (const [path, registry, namedBy] of names) {
    test(`is found at ${path}, and who asked is told to those who know its tag`, async () => {
      const tag = newCanaryTag();
      const before = await viewOf(tag);
      assert.deepEqual([before.requests, before.version], [[], '0.0.0-test']);
      const { status, headers } = await mirror.get(path.replace('TAG', tag), {
        'user-agent': `client ${'x'.repeat(300)}`,
      });
      assert.deepEqual([status, headers['docker-content-digest']], [200, before.digest]);
      const [request, ...more] = (await viewOf(tag)).requests;
      assert.equal(more.length, 0);
      assert.deepEqual(
        [request?.registry, request?.namedBy, request?.client, request?.userAgent?.length],
        [registry, namedBy, '127.0.0.1', 200],
      );
    });
  }

  test('of another server has another digest', async () => {
    await using other = await startMirror();
    const tag = newCanaryTag();
    const digestAt = async (at: Mirror) =>
      (await at.head(`/v2/${CANARY_REPOSITORY}/manifests/${tag}`)).headers['docker-content-digest'];
    assert.notEqual(await digestAt(mirror), await digestAt(other));
    assert.equal(await digestAt(mirror), await digestAt(mirror));
  });

  test('keeps its requests through a reload, and at most eight of them', async () => {
    const tag = newCanaryTag();
    for (let round = 0; round < 10; round += 1) await mirror.head(`/v2/${CANARY_REPOSITORY}/manifests/${tag}`);
    await mirror.reload();
    assert.equal((await viewOf(tag)).requests.length, 8);
  });

  test('is no other tag and no other repository: the upstream is asked for those', async () => {
    const tag = newCanaryTag();
    const before = upstream.requests.length;
    for (const path of [
      `/v2/${CANARY_REPOSITORY}/manifests/latest`,
      `/v2/someone/entrepot-canary/manifests/${tag}`,
      `/v2/${CANARY_REPOSITORY}/blobs/${digestOf(Buffer.from(tag))}`,
    ]) {
      assert.equal((await mirror.get(path)).status, 404);
    }
    assert.ok(upstream.requests.length >= before + 3);
    assert.equal((await mirror.get('/canary/latest')).status, 404);
  });
});
