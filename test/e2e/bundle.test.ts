import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { exportImages } from '../../src/cli/commands/carry/export.ts';
import { ENTREPOT, startEntrepot } from '../support/app.ts';
import { captureOutput } from '../support/capture-output.ts';
import {
  inDirectory,
  type Podman,
  preparePodman,
  skopeo,
  skopeoPull,
  startDockerRegistry,
} from '../support/engines.ts';
import { goTool, needsGoTools } from '../support/go-tools.ts';
import { buildImage, platformOf, type TestImage } from '../support/image.ts';
import { startMirror } from '../support/mirror.ts';
import { check, needs, run, Workspace } from '../support/processes.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

// Bundles, as other tools read them.

const app = buildImage({ seed: 'bundle app', layers: [64 * 1024, 300 * 1024] });
const legacy = buildImage({ seed: 'bundle legacy', layers: [10_000], format: 'docker' });
const REGISTRY = 'apps.example.com';
const NAMES = [`${REGISTRY}/team/app:1.0`, `${REGISTRY}/team/legacy:1.0`] as const;

/** Writes a bundle of both images, and one of `app` for amd64 alone. */
async function writeBundles(workspace: Workspace): Promise<{ readonly all: string; readonly amd64: string }> {
  await using upstream = await startScriptedUpstream();
  upstream.add(app, 'team/app', ['1.0']);
  upstream.add(legacy, 'team/legacy', ['1.0']);
  await using mirror = await startMirror({ registries: { [REGISTRY]: { upstreams: [upstream.url] } } });
  const files = { all: workspace.path('all.tar'), amd64: workspace.path('amd64.tar') };
  for (const [images, file, platform] of [
    [NAMES, files.all, []],
    [[NAMES[0]], files.amd64, ['linux/amd64']],
  ] as const) {
    const { output, said } = captureOutput();
    const options = { flags: { cacheDir: mirror.dir }, images, output: file, platform };
    assert.equal(await exportImages(options, { output, isTerminal: false }), 0, said.err);
  }
  return files;
}

async function assertCopied(directory: string, image: TestImage): Promise<void> {
  for (const { digest, bytes } of image.blobs) {
    assert.ok((await readFile(inDirectory(directory, digest).blob)).equals(bytes), digest);
  }
}

describe('skopeo', needs('skopeo'), () => {
  test('copies an image by its full name out of a bundle', async () => {
    await using workspace = await Workspace.open();
    const { all, amd64 } = await writeBundles(workspace);
    // Of Docker's own format, skopeo reads nothing in a layout, of any program.
    const into = workspace.path('app');
    await skopeo('copy', '--all', '--preserve-digests', `oci-archive:${all}:${NAMES[0]}`, `dir:${into}`);
    await assertCopied(into, app);
    const one = workspace.path('one');
    const platform = ['--override-os', 'linux', '--override-arch', 'amd64'];
    await skopeo(...platform, 'copy', `oci-archive:${amd64}`, `dir:${one}`);
    const { config, layers } = platformOf(app, 'amd64');
    for (const { digest, bytes } of [config, ...layers]) {
      assert.ok((await readFile(inDirectory(one, digest).blob)).equals(bytes), digest);
    }
  });
});

describe('an isolated server', needs('skopeo'), () => {
  test('serves what came through a pipe to a client, asks no upstream, and says what it lacks', async () => {
    await using workspace = await Workspace.open();
    const { all } = await writeBundles(workspace);
    // It would be asked: it counts every request.
    await using upstream = await startScriptedUpstream();
    const config = { registries: { [REGISTRY]: { upstreams: [upstream.url] } }, offline: true };
    const isolated = await startEntrepot(workspace, config);
    const env = { ...process.env, HOME: workspace.dir, NODE_NO_WARNINGS: '1' };
    const entrepot = (...args: readonly string[]) =>
      run(['sh', ENTREPOT, ...args, '--cache-dir', isolated.dir], { env });
    const compose = await workspace.file(
      'compose.yaml',
      `services:\n  app: {image: "${NAMES[0]}"}\n  other: {image: "${REGISTRY}/team/other:2.0"}\n`,
    );
    const before = await entrepot('missing', '--from', compose);
    assert.equal(before.code, 1, before.stderr);
    assert.match(before.stdout, /^0 of 2 images can be pulled here without an upstream\.$/m);
    const piped = await run(
      ['sh', '-c', 'cat "$1" | sh "$2" import - --cache-dir "$3"', 'sh', all, ENTREPOT, isolated.dir],
      { env },
    );
    assert.equal(piped.code, 0, piped.stderr);
    assert.match(piped.stdout, /^Imported 2 images from standard input\.$/m);
    const copy = await skopeoPull(workspace, { name: `${isolated.host}/${NAMES[0]}`, into: 'pulled' });
    assert.ok((await readFile(`${copy}/manifest.json`)).equals(app.index.bytes));
    await assertCopied(copy, app);
    const lacking = await entrepot('missing', '--from', compose);
    assert.equal(lacking.code, 1);
    assert.equal(
      lacking.stdout,
      `${REGISTRY}/team/other:2.0: nothing of it is stored\n1 of 2 images can be pulled here without an upstream.\n`,
    );
    await assert.rejects(
      skopeoPull(workspace, { name: `${isolated.host}/${REGISTRY}/team/other:2.0`, into: 'none' }),
      /this server is offline and asks no upstream/,
    );
    // The way back: a bundle out of the isolated server, to standard output, as skopeo reads it.
    const back = workspace.path('back.tar');
    const exported = await run(
      ['sh', '-c', 'sh "$1" export "$2" -o - --cache-dir "$3" > "$4"', 'sh', ENTREPOT, NAMES[0], isolated.dir, back],
      { env },
    );
    assert.equal(exported.code, 0, exported.stderr);
    const into = workspace.path('back');
    await skopeo('copy', '--all', '--preserve-digests', `oci-archive:${back}:${NAMES[0]}`, `dir:${into}`);
    await assertCopied(into, app);
    assert.equal(upstream.count(), 0, upstream.journal());
  });
});

describe('podman', needs('podman', 'docker-registry', 'skopeo', 'root'), () => {
  let workspace: Workspace;
  let podman: Podman;
  before(async () => {
    workspace = await Workspace.open();
    podman = await preparePodman(workspace, '');
  });
  after(() => workspace.close());

  test('pulls an image out of a bundle', async () => {
    const { amd64 } = await writeBundles(workspace);
    const id = await podman.podman('pull', '--quiet', '--os=linux', '--arch=amd64', `oci-archive:${amd64}:${NAMES[0]}`);
    assert.equal(`sha256:${id.trim()}`, platformOf(app, 'amd64').config.digest);
  });
});

describe('crane', { ...needs('docker-registry', 'skopeo'), ...needsGoTools('crane') }, () => {
  test('pushes the layout of a bundle', async () => {
    await using workspace = await Workspace.open();
    const { all } = await writeBundles(workspace);
    const layout = workspace.path('layout');
    await mkdir(layout);
    await check(['tar', '-xf', all, '-C', layout]);
    const registry = await startDockerRegistry(workspace);
    const target = `${registry.host}/carried/all:1.0`;
    await check([goTool('crane'), 'push', '--insecure', '--index', layout, target]);
    const pushed = JSON.parse(await check([goTool('crane'), 'manifest', '--insecure', target]));
    assert.deepEqual(
      pushed.manifests.map(({ digest }: { digest: string }) => digest),
      [app.index.digest, legacy.index.digest],
    );
    const byDigest = `${registry.host}/carried/all@${app.index.digest}`;
    assert.deepEqual(
      JSON.parse(await check([goTool('crane'), 'manifest', '--insecure', byDigest])),
      JSON.parse(app.index.bytes.toString()),
    );
  });
});
