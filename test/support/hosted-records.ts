import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Digest, Repository } from '../../src/oci/index.ts';
import type { HostedBlob, HostedStore, NewManifest, PutManifestOptions } from '../../src/store/index.ts';
import { memoryDirectory } from './temporary.ts';

export const APP: Repository = { registry: 'apps', repository: 'team/app' };
export const OTHER: Repository = { registry: 'apps', repository: 'team/other' };
const IMAGE = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX = 'application/vnd.oci.image.index.v1+json';
/** How a manifest is pushed at 1000 by alice. */
export const how = (tags: readonly string[] = [], more: Partial<PutManifestOptions> = {}): PutManifestOptions => ({
  at: 1000,
  by: 'alice',
  tags: tags.map((tag) => ({ tag })),
  ...more,
});

/** Stores the blobs of an image, and its manifest. */
export async function push(store: HostedStore, text: string, options: PutManifestOptions) {
  const made = image(text);
  for (const blob of made.blobs) await store.putBlob(APP, blob, { at: options.at });
  const { outcome } = await store.putManifest(APP, made.manifest, options);
  assert.equal(outcome, 'stored');
  return made;
}

/** A deletion at 5000 by carol. */
export const deletion = (immutable: (tag: string) => boolean = () => false) => ({ at: 5000, by: 'carol', immutable });

/** In the order of their digests. */
export function sorted<T extends { readonly digest: Digest }>(records: readonly T[]): readonly T[] {
  return records.toSorted((a, b) => (a.digest < b.digest ? -1 : 1));
}

/** The digest of a text: another for each. */
export function digestOf(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}` as Digest;
}

export function blobOf(text: string, size = 100): HostedBlob {
  return { digest: digestOf(text), size };
}

/** A manifest of a config and a layer, which are not stored. */
export function image(
  text: string,
  more: Partial<NewManifest> = {},
): { readonly blobs: readonly HostedBlob[]; readonly manifest: NewManifest } {
  const blobs = [blobOf(`${text} config`, 10), blobOf(`${text} layer`, 200)];
  const manifest: NewManifest = {
    digest: digestOf(text),
    mediaType: IMAGE,
    size: 50,
    subject: undefined,
    artifactType: 'application/vnd.oci.image.config.v1+json',
    annotations: undefined,
    references: blobs.map(({ digest }) => ({ digest, kind: 'blob' })),
    ...more,
  };
  return { blobs, manifest };
}

/** An index of manifests. */
export function indexOf(text: string, manifests: readonly Digest[]): NewManifest {
  const references = manifests.map((digest) => ({ digest, kind: 'manifest' as const }));
  return image(text, { mediaType: INDEX, artifactType: undefined, references }).manifest;
}

/** Where a test has its records: `hosted.db` in a directory of its own, which is removed after it. */
export async function temporaryFile(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(memoryDirectory(), 'entrepot-hosted-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'hosted.db');
}
