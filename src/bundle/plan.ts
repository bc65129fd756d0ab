import { platformFilter } from '../cache/index.ts';
import { inTurns } from '../lib/index.ts';
import {
  type Digest,
  isGenericType,
  isManifestType,
  type Manifest,
  type Platform,
  parseManifest,
  type Reference,
  type Repository,
} from '../oci/index.ts';
import type { Attached, Contents, Root } from './contents.ts';

/** An image to be carried away. */
export interface ImageToCarry {
  /** Completed: `docker.io/library/nginx:1.27`. */
  readonly text: string;
  readonly repository: Repository;
  readonly reference: Reference;
}

/** One manifest or blob of an image. */
export interface Part {
  readonly digest: Digest;
  readonly kind: 'manifest' | 'blob';
  /** Bytes; undefined where neither its file nor a manifest says. */
  readonly size: number | undefined;
  readonly stored: boolean;
  /** True: an image is whole without it (a layer that registries leave to others, an attestation of another platform). */
  readonly optional?: true;
}

/** A manifest with all that is below it. */
export interface Tree extends Root {
  /** Each digest once, manifests before what they name. */
  readonly parts: readonly Part[];
}

/** What it takes to carry an image away. */
export interface ImagePlan {
  readonly image: ImageToCarry;
  readonly home: 'mirrored' | 'hosted';
  /** Undefined where nothing is known of the image here. */
  readonly tree: Tree | undefined;
  /** Platforms that were wanted and that the image does not have. */
  readonly missingPlatforms: readonly string[];
  /** Signatures, attestations and others that are whole here. */
  readonly attached: readonly (Tree & Pick<Attached, 'tag'>)[];
}

export interface PlanOptions {
  readonly contents: Contents;
  /** `linux/amd64`; empty: all. */
  readonly platforms: readonly string[];
  /** Keeps a digest from being evicted, from before it is looked for. */
  readonly hold: (digest: Digest) => void;
}

/** Manifests of one image, and its blobs. */
const MAX_MANIFESTS = 1000;
const MAX_PARTS = 20_000;

/** Whether all that an image needs is stored here. */
export function isComplete({ tree, missingPlatforms }: ImagePlan): boolean {
  return tree !== undefined && missingPlatforms.length === 0 && isWhole(tree);
}

function isWhole({ parts }: Tree): boolean {
  return parts.every(({ stored, optional }) => stored || optional === true);
}

/** Finds the parts of an image, and what of them is stored. It asks no upstream. */
export async function planImage(image: ImageToCarry, options: PlanOptions): Promise<ImagePlan> {
  const { contents } = options;
  const { repository, reference } = image;
  const home = contents.isHosted(repository) ? 'hosted' : 'mirrored';
  const root = await contents.resolve(repository, reference);
  if (root === undefined) return { image, home, tree: undefined, missingPlatforms: [], attached: [] };
  const { tree, found } = await walk(root, { ...options, repository });
  const missingPlatforms = found === undefined ? [] : options.platforms.filter((platform) => !found.has(platform));
  const attached: ImagePlan['attached'][number][] = [];
  const seen = new Set<Digest>(tree.parts.map(({ digest }) => digest));
  for (const { digest, kind } of tree.parts) {
    if (kind !== 'manifest') continue;
    for (const each of await contents.attachedTo(repository, digest)) {
      if (seen.has(each.digest)) continue;
      seen.add(each.digest);
      // All of it, whatever platforms are wanted: it says something of the image.
      const below = await walk(each, { ...options, platforms: [], repository });
      if (isWhole(below.tree)) attached.push({ ...below.tree, tag: each.tag });
    }
  }
  return { image, home, tree, missingPlatforms, attached };
}

interface Walk extends PlanOptions {
  readonly repository: Repository;
}

interface Walked {
  readonly tree: Tree;
  /** The wanted platforms that its indexes have; undefined where they name none. */
  readonly found: ReadonlySet<string> | undefined;
}

async function walk(root: Root, { contents, platforms, hold, repository }: Walk): Promise<Walked> {
  const filters = platforms.map((text) => ({ text, fits: platformFilter([text]) }));
  const parts = new Map<Digest, Part>();
  let found: Set<string> | undefined;
  const waiting: { readonly digest: Digest; readonly mediaType: string; readonly isOptional: boolean }[] = [
    { ...root, isOptional: false },
  ];
  let manifests = 0;
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const { digest, mediaType, isOptional } = next;
    hold(digest);
    const bytes = await contents.manifest(repository, digest);
    const optional = isOptional ? ({ optional: true } as const) : {};
    parts.set(digest, { digest, kind: 'manifest', size: bytes?.length, stored: bytes !== undefined, ...optional });
    manifests += 1;
    if (bytes === undefined || manifests > MAX_MANIFESTS) continue;
    const manifest = await inTurns(parseManifest(bytes, mediaType));
    for (const blob of manifest.blobs) {
      if (!parts.has(blob.digest) && parts.size < MAX_PARTS) {
        const isForeign = /foreign|nondistributable/.test(blob.mediaType);
        parts.set(blob.digest, await blobPart(blob, isOptional || isForeign));
      }
    }
    const { children, has } = choose(manifest, filters);
    if (has !== undefined) found = new Set([...(found ?? []), ...has]);
    for (const { child, isAside } of children) {
      if (parts.has(child.digest) || parts.size >= MAX_PARTS) continue;
      if (isManifestType(child.mediaType) || isGenericType(child.mediaType)) {
        const { digest, size } = child;
        // In its place already, so that it is walked once.
        parts.set(digest, { digest, kind: 'manifest', size, stored: false, ...(isAside ? { optional: true } : {}) });
        waiting.push({ digest, mediaType: child.mediaType, isOptional: isOptional || isAside });
      } else parts.set(child.digest, await blobPart(child, isOptional || isAside));
    }
  }
  return { tree: { ...root, parts: [...parts.values()] }, found };

  async function blobPart(
    { digest, size }: { readonly digest: Digest; readonly size: number | undefined },
    isOptional: boolean,
  ): Promise<Part> {
    hold(digest);
    const stored = await contents.size(repository, digest);
    // A file of another size is damaged: its next reader finds out.
    const isStored = stored !== undefined && (size === undefined || stored === size);
    return { digest, kind: 'blob', size: size ?? stored, stored: isStored, ...(isOptional ? { optional: true } : {}) };
  }
}

interface Filter {
  readonly text: string;
  readonly fits: (platform: Platform | undefined) => boolean;
}

/** The entries of an index to take. `isAside`: an entry without a platform, beside those that are wanted. */
function choose(
  { manifests }: Manifest,
  filters: readonly Filter[],
): {
  readonly children: readonly { readonly child: Manifest['manifests'][number]; readonly isAside: boolean }[];
  readonly has: ReadonlySet<string> | undefined;
} {
  if (filters.length === 0 || !manifests.some(({ platform }) => isKnown(platform))) {
    return { children: manifests.map((child) => ({ child, isAside: false })), has: undefined };
  }
  const has = new Set<string>();
  const children = manifests.flatMap((child) => {
    if (!isKnown(child.platform)) return [{ child, isAside: true }];
    const fitting = filters.filter(({ fits }) => fits(child.platform));
    for (const { text } of fitting) has.add(text);
    return fitting.length > 0 ? [{ child, isAside: false }] : [];
  });
  return { children, has };
}

/** An attestation has the platform `unknown/unknown`. */
function isKnown(platform: Platform | undefined): platform is Platform {
  return platform !== undefined && platform.os !== 'unknown';
}
