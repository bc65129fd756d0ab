import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { exportImages } from '../../src/cli/commands/carry/export.ts';
import { importBundles } from '../../src/cli/commands/carry/import-bundle.ts';
import { missing } from '../../src/cli/commands/carry/missing.ts';
import { warm } from '../../src/cli/commands/carry/warm.ts';
import { captureOutput } from './capture-output.ts';
import { buildImage, type Content, platformOf, type TestImage } from './image.ts';
import { type Mirror, startMirror } from './mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from './scripted-upstream.ts';

// A server whose images are carried away, and one without an upstream that takes them.

export const REPOSITORY = 'team/app';
export const image = buildImage({ seed: 'carried', layers: [40_000, 300_000] });
export const amd64 = platformOf(image, 'amd64');
export const layer = amd64.layers[1] as Content;

export interface Site extends AsyncDisposable {
  readonly upstream: ScriptedUpstream;
  readonly mirror: Mirror;
  /** A directory for files. */
  readonly files: string;
}

export async function startSite(t: TestContext, config: Readonly<Record<string, unknown>> = {}): Promise<Site> {
  const files = await mkdtemp(join(tmpdir(), 'carry-'));
  t.after(() => rm(files, { recursive: true, force: true }));
  const upstream = await startScriptedUpstream();
  upstream.add(image, REPOSITORY, ['latest', '1.0']);
  const registries = { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } };
  const mirror = await startMirror({ registries, ...config });
  return {
    upstream,
    mirror,
    files,
    async [Symbol.asyncDispose]() {
      upstream.heal();
      await mirror.stop();
      await upstream.stop();
    },
  };
}

/** A server whose upstream is not there. */
export const startIsolated = (config: Readonly<Record<string, unknown>> = {}): Promise<Mirror> =>
  startMirror({
    registries: { up: { upstreams: ['http://127.0.0.1:9'] } },
    offline: true,
    ...config,
  });

export async function commands(dir: string, cwd: string) {
  const flags = { cacheDir: dir };
  const say = async (work: (surroundings: object) => Promise<number>) => {
    const { output, said } = captureOutput();
    const code = await work({ output, isTerminal: false, cwd, lookEvery: 5 });
    return { code, ...said };
  };
  return {
    export: (images: readonly string[], output: string, more: object = {}) =>
      say((around) => exportImages({ flags, images, output, ...more }, around)),
    import: (files: readonly string[], more: object = {}) =>
      say((around) => importBundles({ flags, files: files.map((file) => join(cwd, file)), ...more }, around)),
    missing: (images: readonly string[], more: object = {}) =>
      say((around) => missing({ flags, images, ...more }, around)),
    warm: (images: readonly string[], more: object = {}) => say((around) => warm({ flags, images, ...more }, around)),
  };
}

export const at = (reference: string): string => `/up/v2/${REPOSITORY}/manifests/${reference}`;
export const blobAt = (digest: string): string => `/up/v2/${REPOSITORY}/blobs/${digest}`;

/** Asserts that a server gives every byte of an image. */
export async function assertServes(mirror: Mirror, wanted: TestImage, tag: string): Promise<void> {
  const tagged = await mirror.get(at(tag));
  assert.equal(tagged.status, 200, tagged.body.toString());
  assert.ok(tagged.body.equals(wanted.index.bytes));
  for (const { digest, bytes } of wanted.manifests)
    assert.ok((await mirror.get(at(digest))).body.equals(bytes), digest);
  for (const { digest, bytes } of wanted.blobs)
    assert.ok((await mirror.get(blobAt(digest))).body.equals(bytes), digest);
}
