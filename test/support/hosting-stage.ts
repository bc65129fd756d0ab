import assert from 'node:assert/strict';
import type { AccessRequest, Authorize } from '../../src/access/index.ts';
import type { PullThrough } from '../../src/cache/index.ts';
import { type HostingOptions, HostingRules, loadHosting } from '../../src/hosting/index.ts';
import type { Digest, HostingSpec, OriginSource, RegistrySpec, Repository, UpstreamSpec } from '../../src/oci/index.ts';
import { createRegistryDoor, loadPushedRows, type PushedRows } from '../../src/registry/index.ts';
import type { Catalogue } from '../../src/routing/index.ts';
import { createDispatch, FrontDoor } from '../../src/server/index.ts';
import { type HostedStore, loadHostedStore, type ResumableBlobStore } from '../../src/store/index.ts';
import { type Events, Telemetry } from '../../src/telemetry/index.ts';
import type { Scope } from './cache-world.ts';
import type { Content } from './image.ts';
import { MemoryResumableBlobStore } from './memory-blob-store.ts';

export const APP: Repository = { registry: 'apps', repository: 'team/app' };
export const OTHER: Repository = { registry: 'apps', repository: 'team/other' };

export interface HostingStageOptions
  extends Partial<Pick<HostingOptions, 'grace' | 'now' | 'manifestsInMemory' | 'cacheStore'>> {
  /** Of the registry `apps`. */
  readonly hosting?: Partial<HostingSpec>;
  /** @default in memory */
  readonly store?: ResumableBlobStore;
  /** @default in memory */
  readonly records?: HostedStore;
  /** Of the registry `apps`. @default none; each request to them fails the test */
  readonly upstreams?: OriginSource;
  readonly through?: PushedRows;
  /** Stands before the rows of what is hosted. @default nothing does */
  readonly before?: (rows: PushedRows, rules: HostingRules) => PushedRows;
  /** @default everything is allowed */
  readonly authorize?: Authorize;
}

interface Request {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string | ReadableStream;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Buffer;
  /** The body as JSON; undefined where it is none. */
  readonly json: unknown;
  /** The code of the first error in it. */
  readonly code: string | undefined;
  readonly message: string;
}

const KINDS = [
  'manifest.pushed',
  'manifest.deleted',
  'tag.moved',
  'tag.deleted',
  'blob.pushed',
  'blob.deleted',
  'blob.rotten',
  'blob.adopted',
  'hosted.collected',
  'warning',
] as const satisfies readonly (keyof Events)[];

/** A server whose registry `apps` hosts repositories, in memory, asked over a real socket. */
export type HostingStage = Awaited<ReturnType<typeof hostingStage>>;

export async function hostingStage(t: Scope, options: HostingStageOptions = {}) {
  const { Hosting } = await loadHosting();
  const { MemoryHostedStore } = await loadHostedStore();
  const { createPushedRows } = await loadPushedRows();
  const store = options.store ?? new MemoryResumableBlobStore();
  const records = options.records ?? new MemoryHostedStore();
  const telemetry = new Telemetry();
  const events: { readonly kind: string; readonly event: unknown }[] = [];
  for (const kind of KINDS) telemetry.on(kind, (event) => events.push({ kind, event }));
  const spec: HostingSpec = { hosted: ['**'], push: [], immutableTags: [], sparse: false, ...options.hosting };
  const registry = registryOf(spec, options.upstreams !== undefined);
  const rules = new HostingRules([registry]);
  const hosting = await Hosting.open({
    store,
    records,
    telemetry,
    rules: () => rules,
    cacheStore: options.cacheStore,
    now: options.now,
    grace: options.grace,
    manifestsInMemory: options.manifestsInMemory,
  });
  const catalogue = catalogueOf(registry);
  const rows = createPushedRows({ hosting, rules: () => rules, catalogue, cache: NO_CACHE, through: options.through });
  const door = createRegistryDoor({
    catalogue,
    cache: NO_CACHE,
    telemetry,
    pushed: options.before?.(rows, rules) ?? rows,
    originFor: () => options.upstreams ?? (() => assert.fail('an upstream was asked')),
    anonymousFor: () => undefined,
  });
  const asked: AccessRequest[] = [];
  const authorize: Authorize = (request) => {
    asked.push(request);
    return options.authorize?.(request) ?? { allowed: true };
  };
  const faults: string[] = [];
  const frontDoor = new FrontDoor({
    listeners: [{ address: { host: '127.0.0.1', port: 0 } }],
    handler: createDispatch({ doors: [door], telemetry, pseudonym: 'entrepot-stage', open: authorize }),
    onWarning: (message) => faults.push(message),
  });
  const [listener] = await frontDoor.start();
  const host = String(listener?.address);
  t.after(async () => {
    await frontDoor.stop({ timeoutMs: 0 });
    await hosting.close();
    assert.deepEqual(faults, []);
  });

  async function ask(path: string, { method = 'GET', headers = {}, body }: Request = {}): Promise<Answer> {
    const response = await fetch(new URL(path, `http://${host}`), {
      method,
      headers: { connection: 'close', ...headers },
      signal: AbortSignal.timeout(20_000),
      ...(body === undefined ? {} : { body, duplex: 'half' }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const json = parse(bytes);
    const error = (json as { errors?: { code: string; message: string }[] } | undefined)?.errors?.[0];
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      json,
      code: error?.code,
      message: error?.message ?? '',
    };
  }

  /** Puts a blob where an upload would. */
  async function addBlob({ bytes, digest, size }: Content, repository: Repository = APP): Promise<void> {
    const file = await store.begin();
    await file.write(bytes, 0);
    await file.commit(digest);
    await file.close();
    await records.putBlob(repository, { digest, size }, { at: (options.now ?? Date.now)() });
  }

  function pushManifest(
    { bytes, mediaType }: Pick<Content, 'bytes' | 'mediaType'>,
    reference: string,
    {
      repository = APP,
      headers = {},
    }: { readonly repository?: Repository; readonly headers?: Request['headers'] } = {},
  ): Promise<Answer> {
    return ask(`/v2/${repository.repository}/manifests/${reference}`, {
      method: 'PUT',
      headers: { 'content-type': mediaType, ...headers },
      body: bytes,
    });
  }

  /** Adds the blobs of an image, and pushes its manifest. */
  async function pushImage(
    image: { readonly manifest: Content; readonly config: Content; readonly layers: readonly Content[] },
    reference: string,
    repository: Repository = APP,
  ): Promise<Answer> {
    for (const blob of [image.config, ...image.layers]) await addBlob(blob, repository);
    const answer = await pushManifest(image.manifest, reference, { repository });
    assert.equal(answer.status, 201, answer.message);
    return answer;
  }

  return {
    host,
    store,
    records,
    hosting,
    telemetry,
    /** What the gate was asked. */
    asked,
    events,
    seen: <K extends keyof Events>(kind: K): readonly Events[K][] =>
      events.filter((each) => each.kind === kind).map(({ event }) => event as Events[K]),
    ask,
    addBlob,
    pushManifest,
    pushImage,
    /** Whether the hosted store has a file. */
    hasFile: async (digest: Digest): Promise<boolean> => (await store.stat(digest)) !== undefined,
  };
}

/** A cache that no request for a hosted repository may reach. */
const NO_CACHE = new Proxy({} as PullThrough, {
  get(_target, name) {
    throw new Error(`the cache was asked for ${String(name)}`);
  },
});

function registryOf(hosting: HostingSpec, hasUpstream: boolean): RegistrySpec {
  return {
    name: 'apps',
    hosts: [],
    aliases: [],
    pathNames: ['apps'],
    library: false,
    delivery: 'stream',
    // No request reaches it: the stage has upstreams of its own.
    upstreams: hasUpstream ? [{ name: 'upstream' } as UpstreamSpec] : [],
    hosting,
  };
}

/** The registry is the default, and has the name `apps`. */
function catalogueOf(registry: RegistrySpec): Catalogue {
  const byName = (name: string): RegistrySpec | undefined => (name === registry.name ? registry : undefined);
  return {
    default: registry,
    domainSuffix: undefined,
    ownHosts: new Set(),
    byName,
    byHost: () => undefined,
    byAlias: () => undefined,
    byPathName: byName,
    list: () => [registry],
  };
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
