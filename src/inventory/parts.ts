import { inTurns, Lru, parseBoundedJson } from '../lib/index.ts';
import {
  type Descriptor,
  type Digest,
  isIndexType,
  MEDIA_TYPES,
  type Platform,
  type Repository,
  readManifest,
} from '../oci/index.ts';
import type { Shelf } from './shelf.ts';

/** What a manifest names, as far as an inventory shows it. */
export interface ManifestParts {
  readonly isIndex: boolean;
  /** Config and layers, each digest once. */
  readonly blobs: readonly Descriptor[];
  /** Of an index: its children. */
  readonly children: readonly Descriptor[];
  /** The config of an image that runs; undefined for an index and for other artifacts. */
  readonly config: Digest | undefined;
  readonly subject: Digest | undefined;
  /** What it is, where it is no image that runs. */
  readonly artifactType: string | undefined;
}

/** What the config of an image says. */
export interface ConfigFacts {
  readonly created: string | undefined;
  readonly platform: Platform | undefined;
}

/** How many files one answer may still read. */
export interface Budget {
  left: number;
  /** True once something was left out since nothing was left. */
  isSpent: boolean;
}

/** Descriptors of parsed manifests in memory: about ten megabytes. */
const REMEMBERED = 50_000;

/** Characters of a text of a config or manifest that is shown. */
const MAX_TEXT = 200;

const CONFIG_TYPES: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]);

/** Reads stored manifests and configs. What a digest names never changes, so what was parsed is kept for a while. */
export class ManifestReader {
  readonly #parts = new Lru<ManifestParts>({
    maxWeight: REMEMBERED,
    weigh: ({ blobs, children }) => blobs.length + children.length + 1,
  });
  readonly #facts = new Lru<ConfigFacts>({ maxWeight: REMEMBERED / 10 });

  /** Undefined where the manifest is no manifest, cannot be read, or the budget is spent. The caller knows that it is stored. */
  async parts(
    shelf: Shelf,
    repository: Repository,
    { digest, mediaType, budget }: { readonly digest: Digest; readonly mediaType: string; readonly budget: Budget },
  ): Promise<ManifestParts | undefined> {
    // The media type decides what is read in it.
    const key = `${digest} ${mediaType}`;
    const known = this.#parts.get(key);
    if (known !== undefined) return known;
    const bytes = await this.#read(shelf, repository, { digest, kind: 'manifest', budget });
    if (bytes === undefined) return undefined;
    try {
      const { blobs, manifests, json, kind, subject } = await inTurns(readManifest(bytes, mediaType));
      const [config] = kind === 'image' ? blobs : [];
      const isRunnable = config !== undefined && CONFIG_TYPES.has(config.mediaType);
      const own = textOf(json['artifactType']);
      const parts: ManifestParts = {
        isIndex: kind === 'index',
        blobs,
        children: manifests,
        config: isRunnable ? config.digest : undefined,
        subject: subject?.digest,
        artifactType: own ?? (isRunnable ? undefined : textOf(config?.mediaType)),
      };
      this.#parts.set(key, parts);
      return parts;
    } catch {
      // It names nothing; a pull says what is wrong with it.
      return undefined;
    }
  }

  async facts(
    shelf: Shelf,
    repository: Repository,
    { digest, budget }: { readonly digest: Digest; readonly budget: Budget },
  ): Promise<ConfigFacts | undefined> {
    const known = this.#facts.get(digest);
    if (known !== undefined) return known;
    const bytes = await this.#read(shelf, repository, { digest, kind: 'blob', budget });
    if (bytes === undefined) return undefined;
    const facts = factsOf(bytes);
    this.#facts.set(digest, facts);
    return facts;
  }

  async #read(
    shelf: Shelf,
    repository: Repository,
    { digest, kind, budget }: { readonly digest: Digest; readonly kind: 'manifest' | 'blob'; readonly budget: Budget },
  ): Promise<Buffer | undefined> {
    if (budget.left <= 0) {
      budget.isSpent = true;
      return undefined;
    }
    budget.left -= 1;
    return await shelf.read(repository, digest, kind);
  }
}

function factsOf(bytes: Buffer): ConfigFacts {
  try {
    const json = parseBoundedJson(bytes) as Record<string, unknown> | null;
    const { created, os, architecture, variant } = (typeof json === 'object' && json) || {};
    const [named, of] = [textOf(os), textOf(architecture)];
    const kind = textOf(variant);
    const platform =
      named === undefined || of === undefined
        ? undefined
        : { os: named, architecture: of, ...(kind === undefined ? {} : { variant: kind }) };
    return { created: textOf(created), platform };
  } catch {
    return { created: undefined, platform: undefined };
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT ? value : undefined;
}

/** Whether a media type promises an index. */
export function mayBeIndex(mediaType: string): boolean {
  return isIndexType(mediaType) || mediaType === MEDIA_TYPES.ociIndex;
}

/** `linux/arm64/v8`; undefined for attestations, whose platform is unknown. */
export function platformText(platform: Platform | undefined): string | undefined {
  if (platform === undefined || platform.os === 'unknown') return undefined;
  const { os, architecture, variant } = platform;
  return [os, architecture, ...(variant === undefined ? [] : [variant])].join('/');
}
