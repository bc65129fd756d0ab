import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { startMirror } from '../support/mirror.ts';
import type { RawResponse } from '../support/raw-request.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

// Docker 29 pulls by containerd's client, and keeps images in containerd's store: other requests than those of earlier
// versions, which Debian still has. These are the requests of containerd's resolver and fetcher (containerd 2,
// core/remotes/docker), with the User-Agent that Docker's issues show for this store. For a mirror of daemon.json it adds no
// `ns`; for a hosts.toml under /etc/docker/certs.d it does.

const HEADERS = {
  'user-agent':
    'docker/29.0.0 go/go1.25.3 git-commit/d105562 kernel/6.12.54 os/linux arch/amd64 containerd-client/2.1.5+unknown ' +
    'storage-driver/overlayfs UpstreamClient(Docker-Client/29.0.0 \\(linux\\))',
};

const MANIFEST_TYPES = [
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  '*/*',
].join(', ');

describe('Docker 29', () => {
  for (const [where, query] of [
    ['a mirror in daemon.json', ''],
    ['a hosts.toml under certs.d', '?ns=docker.io'],
  ] as const) {
    for (const state of ['cold', 'warm'] as const) {
      test(`pulls through ${where}, ${state}`, async () => {
        await using upstream = await startScriptedUpstream({ personality: 'dockerHub' });
        const image = buildImage({ seed: `docker 29 ${where}`, architectures: ['amd64', 'arm64'] });
        upstream.add(image, 'library/app', ['1']);
        await using mirror = await startMirror({ registries: { 'docker.io': { upstreams: [upstream.url] } } });
        if (state === 'warm') await pull();
        const before = upstream.requests.length;
        await pull();
        if (state === 'warm') assert.equal(upstream.requests.length, before, 'a warm pull asks no upstream');

        async function pull(): Promise<void> {
          const manifests = `/v2/library/app/manifests`;
          const ask = { ...HEADERS, accept: MANIFEST_TYPES };
          const head = await mirror.head(`${manifests}/1${query}`, ask);
          // Without a length the resolver asks again by GET, which Docker Hub counts as a pull.
          assertManifest(head, image.index);
          assert.equal(head.body.length, 0);
          const { manifest, config, layers } = platformOf(image, 'amd64');
          for (const each of [image.index, manifest]) {
            const accept = `${each.mediaType}, */*`;
            const got = await mirror.get(`${manifests}/${each.digest}${query}`, { ...HEADERS, accept });
            assertManifest(got, each);
            assert.ok(got.body.equals(each.bytes));
          }
          for (const each of [config, ...layers]) {
            const accept = `${each.mediaType}, */*`;
            const got = await mirror.get(`/v2/library/app/blobs/${each.digest}${query}`, { ...HEADERS, accept });
            assert.equal(got.status, 200);
            // The bar of the progress needs it.
            assert.equal(got.headers['content-length'], String(each.size));
            assert.ok(got.body.equals(each.bytes));
          }
        }
      });
    }
  }

  test('goes on after a broken layer with a range to an unknown end', async () => {
    await using upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    const image = buildImage({ seed: 'docker 29, resumed', architectures: ['amd64'], layers: [100_000] });
    upstream.add(image, 'library/app', ['1']);
    await using mirror = await startMirror({ registries: { 'docker.io': { upstreams: [upstream.url] } } });
    const { manifest, layers } = platformOf(image, 'amd64');
    await mirror.get(`/v2/library/app/manifests/${manifest.digest}`, { ...HEADERS, accept: MANIFEST_TYPES });
    const [layer] = layers;
    assert.ok(layer);
    const got = await mirror.get(`/v2/library/app/blobs/${layer.digest}`, { ...HEADERS, range: 'bytes=60000-' });
    assert.equal(got.status, 206);
    assert.equal(got.headers['content-range'], `bytes 60000-${layer.size - 1}/${layer.size}`);
    assert.ok(got.body.equals(layer.bytes.subarray(60_000)));
  });
});

function assertManifest({ status, headers }: RawResponse, { mediaType, digest, size }: Content): void {
  assert.equal(status, 200);
  assert.equal(headers['content-type'], mediaType);
  assert.equal(headers['docker-content-digest'], digest);
  assert.equal(headers['content-length'], String(size));
}
