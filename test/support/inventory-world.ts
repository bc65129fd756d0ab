import { compilePolicy, TagPins } from '../../src/cache/index.ts';
import { type Home, HostingRules } from '../../src/hosting/index.ts';
import { Inventory, type InventoryCaller, type InventoryOptions, type ParsedImage } from '../../src/inventory/index.ts';
import type { Digest, Repository } from '../../src/oci/index.ts';
import { MemoryMetadataStore, type MetadataStore } from '../../src/store/index.ts';
import { Telemetry } from '../../src/telemetry/index.ts';
import { putBlob } from '../suites/blob-store.ts';
import type { Content } from './image.ts';
import { MemoryBlobStore } from './memory-blob-store.ts';

export const ALL: InventoryCaller = { seesAll: true, sees: () => true };

/** A caller that sees some repositories. */
export function onlyFor(sees: (name: string) => boolean): InventoryCaller {
  return { seesAll: false, sees: async ({ registry, repository }) => sees(`${registry}/${repository}`) };
}

interface WorldOptions extends Partial<Pick<InventoryOptions, 'hosted' | 'lastPulls'>> {
  readonly metadata?: MetadataStore;
  /** Patterns of repositories of the registry `apps` that are hosted. @default none */
  readonly hosting?: readonly string[];
  readonly pin?: readonly string[];
  readonly platforms?: readonly string[];
}

/** An inventory over stores in memory, and what puts images into them as the cache does. */
export function inventoryWorld({ metadata = new MemoryMetadataStore(), ...options }: WorldOptions = {}) {
  const { hosting = [], pin = [], platforms } = options;
  const store = new MemoryBlobStore();
  const spec = { hosted: hosting, push: [], immutableTags: [], sparse: false };
  const rules = new HostingRules(hosting.length === 0 ? [] : [{ name: 'apps', hosting: spec }]);
  const policy = compilePolicy({ keep: true, pin, platforms, tags: { freshFor: 1000 } });
  const pins = new TagPins({ metadata, telemetry: new Telemetry(), now: () => 5000 });
  const inventory = new Inventory({
    metadata,
    store,
    pins,
    policy: () => policy,
    hosted: options.hosted ?? (() => undefined),
    homeOf: (repository): Home => rules.homeOf(repository),
    parse,
    lastPulls: options.lastPulls,
    now: () => 5000,
  });
  return {
    inventory,
    metadata,
    store,
    pins,
    /** Stores contents and records that a repository has them. */
    async add(repository: Repository, ...contents: readonly Content[]): Promise<void> {
      for (const { digest, bytes, size } of contents) {
        await putBlob(store, bytes);
        await metadata.putBlob({ digest, size, kind: 'mirrored', storedAt: 1 });
      }
      await metadata.putMembers(
        repository,
        contents.map(({ digest, mediaType, size }) => {
          const kind = /manifest|index/.test(mediaType) ? ('manifest' as const) : ('blob' as const);
          return { digest, kind, mediaType, size, visibility: 'public' as const };
        }),
      );
    },
    async tag(repository: Repository, tag: string, { digest, mediaType, size }: Omit<Content, 'bytes'>): Promise<void> {
      const record = { digest, mediaType, size, checkedAt: 4500, upstream: 'hub', visibility: 'public' as const };
      await metadata.putTag(repository, tag, record);
    },
  };
}

/** Every name with its registry; no pattern is completed. */
function parse(text: string): ParsedImage {
  const [name = '', digest] = text.split('@');
  const slash = name.lastIndexOf('/');
  const colon = name.indexOf(':', slash + 1);
  return {
    text,
    repository: name === '' ? undefined : colon === -1 ? name : name.slice(0, colon),
    tag: colon === -1 ? undefined : name.slice(colon + 1),
    digest: digest as Digest | undefined,
  };
}
