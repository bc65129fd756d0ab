import { createCipheriv, createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Digest, digestAlgorithm, digestHex, digestOf, MEDIA_TYPES } from '../../src/oci/index.ts';
import { tar } from './tar.ts';

/** Bytes a registry holds, as a descriptor would name them. */
export interface Content {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly bytes: Buffer;
}

/** What one platform pulls. */
export interface PlatformImage {
  readonly os: 'linux';
  readonly architecture: string;
  readonly manifest: Content;
  readonly config: Content;
  readonly layers: readonly Content[];
}

/** A multi-platform image in memory. */
export interface TestImage {
  readonly index: Content;
  readonly platforms: readonly PlatformImage[];
  /** Index and manifests. */
  readonly manifests: readonly Content[];
  /** Configs and layers. */
  readonly blobs: readonly Content[];
}

export interface ImageOptions {
  /** The same seed gives the same bytes. @default 'image' */
  readonly seed?: string;
  /** `oci`: image index; `docker`: manifest list, schema 2. @default 'oci' */
  readonly format?: 'oci' | 'docker';
  /** Payload of each layer in bytes; it does not compress. @default [64 KiB, 256 KiB, 1 KiB] */
  readonly layers?: readonly number[];
  /** @default ['amd64', 'arm64'] */
  readonly architectures?: readonly string[];
}

const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip';
const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json';
const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';

/** Builds an image every container engine accepts: the diff ids are right, and layers unpack to real files. */
export function buildImage(options: ImageOptions = {}): TestImage {
  const format = options.format ?? 'oci';
  const seed = options.seed ?? 'image';
  const sizes = options.layers ?? [64 * 1024, 256 * 1024, 1024];
  const platforms = (options.architectures ?? ['amd64', 'arm64']).map((architecture) =>
    buildPlatform({ architecture, format, sizes, seed: `${seed}/${architecture}` }),
  );
  const index = jsonContent(format === 'oci' ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.dockerList, {
    schemaVersion: 2,
    mediaType: format === 'oci' ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.dockerList,
    manifests: platforms.map(({ manifest, os, architecture }) => ({
      ...descriptor(manifest),
      platform: { architecture, os },
    })),
  });
  return {
    index,
    platforms,
    manifests: [index, ...platforms.map((platform) => platform.manifest)],
    blobs: platforms.flatMap((platform) => [platform.config, ...platform.layers]),
  };
}

interface PlatformOptions {
  readonly architecture: string;
  readonly format: 'oci' | 'docker';
  readonly sizes: readonly number[];
  readonly seed: string;
}

function buildPlatform({ architecture, format, sizes, seed }: PlatformOptions): PlatformImage {
  const archives = sizes.map((size, i) =>
    tar([
      { path: 'usr' },
      { path: 'usr/share' },
      { path: `usr/share/layer-${i}` },
      { path: `usr/share/layer-${i}/payload`, content: noise(`${seed}/${i}`, size) },
    ]),
  );
  // Level 0: the payload does not compress, and tests with large layers should not wait for zlib.
  const layers = archives.map((archive) =>
    content(format === 'oci' ? OCI_LAYER : DOCKER_LAYER, gzipSync(archive, { level: 0 })),
  );
  const config = jsonContent(format === 'oci' ? OCI_CONFIG : DOCKER_CONFIG, {
    created: '2024-01-01T00:00:00Z',
    architecture,
    os: 'linux',
    config: { Cmd: ['/usr/share/layer-0/payload'], Labels: { 'org.example.seed': seed } },
    rootfs: { type: 'layers', diff_ids: archives.map((archive) => digestOf(archive)) },
    history: sizes.map((size) => ({ created: '2024-01-01T00:00:00Z', created_by: `payload of ${size} bytes` })),
  });
  const manifest = jsonContent(format === 'oci' ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.dockerManifest, {
    schemaVersion: 2,
    mediaType: format === 'oci' ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.dockerManifest,
    config: descriptor(config),
    layers: layers.map(descriptor),
  });
  return { os: 'linux', architecture, manifest, config, layers };
}

/** The image of one platform; throws where the image has none. */
export function platformOf(image: TestImage, architecture: string): PlatformImage {
  const found = image.platforms.find((platform) => platform.architecture === architecture);
  if (found === undefined) throw new RangeError(`Cannot find linux/${architecture} in the test image`);
  return found;
}

/** A manifest that refers to another one (image-spec, manifest.md#guidelines-for-artifact-usage), with one small blob. */
export function buildReferrer(
  subject: Content,
  { artifactType = 'application/vnd.example.note' }: { artifactType?: string } = {},
): { readonly manifest: Content; readonly blobs: readonly Content[] } {
  const empty = content(MEDIA_TYPES.ociEmpty, Buffer.from('{}'));
  const note = content('text/plain', Buffer.from(`a note on ${subject.digest}`));
  const manifest = jsonContent(MEDIA_TYPES.ociManifest, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType,
    config: descriptor(empty),
    layers: [descriptor(note)],
    subject: descriptor(subject),
  });
  return { manifest, blobs: [empty, note] };
}

/** Names bytes by their digest. */
export function content(mediaType: string, bytes: Buffer, algorithm: 'sha256' | 'sha512' = 'sha256'): Content {
  return { mediaType, digest: digestOf(bytes, algorithm), size: bytes.length, bytes };
}

export function jsonContent(mediaType: string, value: unknown): Content {
  // Indented as real registries have it: code that re-serialises instead of keeping the bytes is found out.
  return content(mediaType, Buffer.from(JSON.stringify(value, null, 2)));
}

/** The descriptor of content (image-spec, descriptor.md). */
export function descriptor({ mediaType, digest, size }: Content): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest, size };
}

/** Bytes that look random and are the same for the same seed. */
export function noise(seed: string, size: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  return cipher.update(Buffer.alloc(size));
}

/** Writes images as one OCI layout directory (image-spec, image-layout.md), each under its name. */
export async function writeOciLayout(directory: string, images: Readonly<Record<string, TestImage>>): Promise<void> {
  for (const each of Object.values(images).flatMap((image) => [...image.manifests, ...image.blobs])) {
    const folder = join(directory, 'blobs', digestAlgorithm(each.digest));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, digestHex(each.digest)), each.bytes);
  }
  const index = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociIndex,
    manifests: Object.entries(images).map(([name, image]) => ({
      ...descriptor(image.index),
      annotations: { 'org.opencontainers.image.ref.name': name },
    })),
  };
  await writeFile(join(directory, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(directory, 'index.json'), JSON.stringify(index));
}
