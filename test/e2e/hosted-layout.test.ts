import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LayoutWriter } from '../../src/hosting/layout/index.ts';
import { loadHostedStore, openHostedBlobStore } from '../../src/store/index.ts';
import { ENTREPOT, startEntrepot } from '../support/app.ts';
import { inDirectory, skopeo } from '../support/engines.ts';
import { goTool, needsGoTools } from '../support/go-tools.ts';
import { HostedContent } from '../support/hosted-content.ts';
import { buildImage, type TestImage } from '../support/image.ts';
import { htpasswdOf } from '../support/logins.ts';
import { check, needs, Workspace } from '../support/processes.ts';
import { pushImage } from '../support/push.ts';

const { MemoryHostedStore } = await loadHostedStore();

describe('the layout of a hosted repository', () => {
  test('is read by skopeo, by its tags', needs('skopeo'), async () => {
    await using workspace = await Workspace.open();
    const { layout, images } = await writeLayout(workspace, 'oci');
    for (const [tag, image] of Object.entries(images)) {
      const into = workspace.path(`copy of ${tag}`);
      await skopeo('copy', '--all', '--preserve-digests', `oci:${layout}:${tag}`, `dir:${into}`);
      assert.deepEqual(await readFile(join(into, 'manifest.json')), image.index.bytes);
      for (const { manifest, layers } of image.platforms) {
        assert.deepEqual(await readFile(inDirectory(into, manifest.digest).manifest), manifest.bytes);
        for (const { digest, bytes } of layers) assert.deepEqual(await readFile(inDirectory(into, digest).blob), bytes);
      }
    }
  });

  // skopeo passes over manifests of Docker's types in a layout.
  for (const format of ['oci', 'docker'] as const) {
    test(`is read by oras and regctl, by its tags (${format})`, needsGoTools('oras', 'regctl'), async () => {
      await using workspace = await Workspace.open();
      const { layout, images } = await writeLayout(workspace, format);
      for (const [tag, image] of Object.entries(images)) {
        const expected = image.index.bytes.toString();
        assert.equal(await check([goTool('oras'), 'manifest', 'fetch', '--oci-layout', `${layout}:${tag}`]), expected);
        const reference = `ocidir://${layout}:${tag}`;
        assert.equal(await check([goTool('regctl'), 'manifest', 'get', '--format', 'raw-body', reference]), expected);
        const into = `ocidir://${workspace.path('copy')}:${tag}`;
        await check([goTool('regctl'), 'image', 'copy', reference, into]);
        assert.equal(await check([goTool('regctl'), 'manifest', 'get', '--format', 'raw-body', into]), expected);
      }
    });
  }
});

test('entrepot hosted rebuild brings back what was pushed to a server that lost its records', async () => {
  await using workspace = await Workspace.open();
  const htpasswd = await workspace.file('htpasswd', htpasswdOf('alice'));
  const config = {
    registries: { apps: { hosted: true } },
    access: { htpasswd, rules: [{ who: 'alice', may: ['pull', 'push'], on: ['apps/**'] }] },
  };
  const headers = { authorization: `Basic ${Buffer.from('alice:alice-pw').toString('base64')}` };
  const first = await startEntrepot(workspace, config);
  const [image, other] = ['image', 'other'].map((seed) => buildImage({ seed })) as [TestImage, TestImage];
  await pushImage({ host: first.host, repository: 'apps/team/web', headers }, image, 'v1');
  await pushImage({ host: first.host, repository: 'apps/other', headers }, other, 'latest');
  // The layouts are written before the end.
  assert.equal(await first.stop(), 0);
  const hosted = join(first.dir, 'hosted');
  for (const name of await readdir(hosted)) if (name.startsWith('hosted.db')) await rm(join(hosted, name));

  const said = await check(['sh', ENTREPOT, 'hosted', 'rebuild', '--cache-dir', first.dir]);
  assert.match(
    said,
    /^apps\/other: 3 manifests, .*\napps\/team\/web: 3 manifests, .*\nRestored 2 repositories: 6 manifests/,
  );

  const second = await startEntrepot(workspace, config, { dir: first.dir });
  for (const [repository, tag, { index, platforms, blobs }] of [
    ['apps/team/web', 'v1', image],
    ['apps/other', 'latest', other],
  ] as const) {
    const get = async (path: string) => {
      const answer = await fetch(`${second.url}/v2/${repository}/${path}`, { headers });
      assert.equal(answer.status, 200, path);
      return Buffer.from(await answer.arrayBuffer());
    };
    assert.deepEqual(await get(`manifests/${tag}`), index.bytes);
    for (const { manifest } of platforms) assert.deepEqual(await get(`manifests/${manifest.digest}`), manifest.bytes);
    for (const { digest, bytes } of blobs) assert.deepEqual(await get(`blobs/${digest}`), bytes);
  }
  await pushImage({ host: second.host, repository: 'apps/team/web', headers }, other, 'v1');
  assert.deepEqual(
    second.logs().filter(({ level }) => level === 'error' || level === 'warn'),
    [],
  );
  assert.equal(await second.stop(), 0);
});

async function writeLayout(
  workspace: Workspace,
  format: 'oci' | 'docker',
): Promise<{ readonly layout: string; readonly images: Readonly<Record<string, TestImage>> }> {
  const directory = workspace.path('hosted');
  const store = await openHostedBlobStore(directory);
  const records = new MemoryHostedStore();
  const repository = { registry: 'localhost:5000', repository: 'team/web' };
  const [latest, old] = [buildImage({ format, seed: 'latest' }), buildImage({ format, seed: 'old' })];
  const content = new HostedContent(store, records);
  await content.push(repository, old, ['v1']);
  await content.push(repository, latest, ['v2', 'latest']);
  const warnings: string[] = [];
  const writer = new LayoutWriter({ directory, records, store, warn: (message) => warnings.push(message) });
  await writer.start();
  await writer.settled();
  await writer.close();
  assert.deepEqual(warnings, []);
  const layout = join(directory, 'repositories', 'localhost+3A5000+2Fteam+2Fweb');
  return { layout, images: { v1: old, v2: latest, latest } };
}
