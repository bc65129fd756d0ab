import { randomBytes } from 'node:crypto';
import { type Digest, digestOf, MEDIA_TYPES, type Platform } from '../oci/index.ts';

/**
 * The repository of every canary, in every registry. On Docker Hub, `library/` belongs to Docker alone; elsewhere a
 * repository of this name keeps all of its tags but those of a canary.
 */
export const CANARY_REPOSITORY = 'library/entrepot-canary';

const TAG = /^doctor-[0-9a-f]{32}$/;

/** A tag that no registry has: 128 random bits. */
export function newCanaryTag(): string {
  return `doctor-${randomBytes(16).toString('hex')}`;
}

export function isCanaryTag(text: string): boolean {
  return TAG.test(text);
}

/** Content of the canary, as a registry answers it. */
export interface CanaryContent {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/**
 * The index that a tag leads to. It names the tag and the server, so that another server, of entrepot too, answers another
 * digest.
 */
export function canaryIndex(tag: string, server: string): CanaryContent {
  return contentOf(MEDIA_TYPES.ociIndex, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociIndex,
    manifests: image().children.map(({ platform, manifest }) => ({ ...descriptorOf(manifest), platform })),
    annotations: { 'io.entrepot.canary.tag': tag, 'io.entrepot.canary.server': server },
  });
}

/** A manifest below the index; the same for every canary. */
export function canaryManifest(digest: Digest): CanaryContent | undefined {
  return image().children.find(({ manifest }) => manifest.digest === digest)?.manifest;
}

/** The layer, or the config of a platform; the same for every canary. */
export function canaryBlob(digest: Digest): CanaryContent | undefined {
  const { layer, children } = image();
  return layer.digest === digest ? layer : children.find(({ config }) => config.digest === digest)?.config;
}

/** What Docker and containerd are built for. */
const PLATFORMS: readonly Platform[] = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64', variant: 'v8' },
  { os: 'linux', architecture: 'arm', variant: 'v7' },
  { os: 'linux', architecture: 'arm', variant: 'v6' },
  { os: 'linux', architecture: 'arm', variant: 'v5' },
  { os: 'linux', architecture: '386' },
  { os: 'linux', architecture: 'riscv64' },
  { os: 'linux', architecture: 'ppc64le' },
  { os: 'linux', architecture: 's390x' },
  { os: 'linux', architecture: 'loong64' },
  { os: 'linux', architecture: 'mips64le' },
];

interface CanaryImage {
  readonly layer: CanaryContent;
  readonly children: readonly {
    readonly platform: Platform;
    readonly config: CanaryContent;
    readonly manifest: CanaryContent;
  }[];
}

let built: CanaryImage | undefined;

/** Built at the first canary: most servers never serve one. */
function image(): CanaryImage {
  built ??= buildImage();
  return built;
}

const CREATED = '1970-01-01T00:00:00Z';
const LAYER = 'application/vnd.oci.image.layer.v1.tar';
const CONFIG = 'application/vnd.oci.image.config.v1+json';

function buildImage(): CanaryImage {
  const text = 'This image came from an entrepot server. `entrepot doctor` pulls it, and it can be removed.\n';
  const bytes = tarOf('entrepot-canary.txt', Buffer.from(text));
  const layer = { digest: digestOf(bytes), mediaType: LAYER, bytes };
  const children = PLATFORMS.map((platform) => {
    const config = contentOf(CONFIG, {
      created: CREATED,
      ...platform,
      config: { Labels: { 'org.opencontainers.image.title': 'entrepot canary' } },
      // The layer is not compressed, so its diff_id is its digest.
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
      history: [{ created: CREATED, created_by: 'entrepot doctor' }],
    });
    const manifest = contentOf(MEDIA_TYPES.ociManifest, {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: descriptorOf(config),
      layers: [descriptorOf(layer)],
    });
    return { platform, config, manifest };
  });
  return { layer, children };
}

function contentOf(mediaType: string, value: object): CanaryContent {
  const bytes = Buffer.from(JSON.stringify(value));
  return { digest: digestOf(bytes), mediaType, bytes };
}

function descriptorOf({ mediaType, digest, bytes }: CanaryContent): object {
  return { mediaType, digest, size: bytes.length };
}

const BLOCK = 512;

/** An archive of one file of root's (POSIX.1-1988, ustar): its header, its bytes, two empty blocks. */
function tarOf(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(name, 0);
  header.write(octal(0o644, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(content.length, 11), 124);
  header.write(octal(0, 11), 136);
  // The checksum counts its own field as spaces.
  header.write(' '.repeat(8), 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padded = Buffer.alloc(Math.ceil(content.length / BLOCK) * BLOCK);
  content.copy(padded);
  return Buffer.concat([header, padded, Buffer.alloc(2 * BLOCK)]);
}
