import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import type { TestContext } from 'node:test';
import type { AccessRequest, Decision, Guard, Principal } from '../../src/access/index.ts';
import type { PullThrough } from '../../src/cache/index.ts';
import { DigestLocks, type Home, type UploadLimits } from '../../src/hosting/index.ts';
import { Uploads, type UploadsOptions } from '../../src/hosting/uploads/index.ts';
import type { Digest, RegistrySpec, Repository } from '../../src/oci/index.ts';
import { createRegistryDoor } from '../../src/registry/index.ts';
import { type UploadParts, uploadRowOf } from '../../src/registry/pushed/uploads.ts';
import type { PathOf, RegistryRequest } from '../../src/registry/request.ts';
import type { Catalogue } from '../../src/routing/index.ts';
import { createDispatch, FrontDoor } from '../../src/server/index.ts';
import { MemoryHostedStore } from '../../src/store/hosted/index.ts';
import type { ResumableBlobStore } from '../../src/store/index.ts';
import { type Events, Telemetry } from '../../src/telemetry/index.ts';
import { MemoryBlobStore, MemoryResumableBlobStore } from './memory-blob-store.ts';

export interface UploadStageOptions {
  /** @default one in memory */
  readonly store?: ResumableBlobStore;
  readonly limits?: UploadLimits;
  readonly quota?: number;
  readonly mayStore?: UploadsOptions['mayStore'];
  /** @default every user may do everything */
  readonly authorize?: (request: AccessRequest) => Decision;
  readonly mirroredBlob?: UploadParts['mirroredBlob'];
}

export interface UploadAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Whether the connection had served a request before. */
  readonly reused: boolean;
}

export interface UploadRequest {
  readonly user?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** In pieces: sent without a length. */
  readonly body?: Buffer | readonly Buffer[];
}

/** A server that takes uploads for every repository of `apps` and for `docker.io/acme/**`; clients log in by their name alone. */
export interface UploadStage extends AsyncDisposable {
  readonly address: string;
  readonly store: ResumableBlobStore;
  readonly cacheStore: MemoryBlobStore;
  readonly records: MemoryHostedStore;
  readonly telemetry: Telemetry;
  readonly warnings: Events['warning'][];
  readonly pushed: Events['blob.pushed'][];
  readonly uploads: Uploads;
  now: number;
  send(method: string, path: string, request?: UploadRequest): Promise<UploadAnswer>;
  /** Another process on the same store. */
  restart(): Promise<void>;
  /** The bytes under a digest, where the repository has it; undefined where it does not. */
  contentOf(repository: Repository, digest: Digest): Promise<Buffer | undefined>;
}

const APPS = registryOf('apps', false);
const HUB = registryOf('docker.io', true);
const CATALOGUE: Catalogue = {
  default: APPS,
  domainSuffix: undefined,
  ownHosts: new Set(),
  byName,
  byPathName: byName,
  byHost: () => undefined,
  byAlias: (alias) => (alias === 'hub' ? HUB : undefined),
  list: () => [APPS, HUB],
};

function byName(name: string): RegistrySpec | undefined {
  return [APPS, HUB].find((each) => each.name === name);
}

function registryOf(name: string, library: boolean): RegistrySpec {
  return { name, hosts: [], aliases: [], pathNames: [name], library, delivery: 'stream', upstreams: [] };
}

function homeOf({ registry, repository }: Repository): Home {
  return registry === 'apps' || repository.startsWith('acme/') ? 'here' : 'mirrored';
}

const UNTOUCHED = new Proxy({} as PullThrough, {
  get(_target, name) {
    throw new Error(`the cache was asked for ${String(name)}`);
  },
});

export async function startUploadStage(options: UploadStageOptions = {}): Promise<UploadStage> {
  const telemetry = new Telemetry();
  const warnings: Events['warning'][] = [];
  const pushed: Events['blob.pushed'][] = [];
  telemetry.on('warning', (warning) => warnings.push(warning));
  telemetry.on('blob.pushed', (event) => pushed.push(event));
  const { authorize = () => ({ allowed: true }) } = options;
  const stage = { now: Date.now() };
  const store = options.store ?? new MemoryResumableBlobStore({ now: () => stage.now });
  const cacheStore = new MemoryBlobStore();
  const records = new MemoryHostedStore();
  const openUploads = (): Promise<Uploads> =>
    Uploads.open({
      store,
      cacheStore,
      records,
      telemetry,
      locks: new DigestLocks(),
      limits: () => options.limits ?? {},
      quotaOf: () => options.quota,
      mayStore: options.mayStore,
      now: () => stage.now,
    });
  let uploads = await openUploads();
  const door = createRegistryDoor({
    catalogue: CATALOGUE,
    cache: UNTOUCHED,
    telemetry,
    originFor: () => () => Promise.reject(new Error('an upstream was asked')),
    anonymousFor: () => undefined,
    pushed: {
      rowOf: (request) =>
        request.path.kind === 'uploads'
          ? uploadRowOf(request as RegistryRequest<PathOf<'uploads'>>, {
              uploads,
              catalogue: CATALOGUE,
              homeOf,
              mirroredBlob: options.mirroredBlob,
            })
          : undefined,
    },
  });
  const guard = {
    hasLogins: true,
    identifyKnown: () => undefined,
    identify: async ({ authorization }: { authorization: string | undefined }) => ({
      principal: principalOf(authorization),
      shown: authorization !== undefined,
    }),
    authorize,
  } as unknown as Guard;
  const frontDoor = new FrontDoor({
    listeners: [{ address: { host: '127.0.0.1', port: 0 } }],
    handler: createDispatch({
      doors: [door],
      telemetry,
      pseudonym: 'entrepot-0123456789abcdef',
      guarded: { guard, names: { publicUrls: [], domainSuffix: undefined } },
    }),
    onWarning: (message) => warnings.push({ message }),
  });
  const [listener] = await frontDoor.start();
  const address = listener?.address ?? '';
  // One connection: a request that leaves it unusable keeps the next one waiting.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    address,
    store,
    cacheStore,
    records,
    telemetry,
    warnings,
    pushed,
    get uploads() {
      return uploads;
    },
    get now() {
      return stage.now;
    },
    set now(now: number) {
      stage.now = now;
    },
    send: (method, path, sent) => send(agent, `http://${address}${path}`, { method, ...sent }),
    async restart() {
      await uploads.close();
      uploads = await openUploads();
    },
    async contentOf(repository, digest) {
      if ((await records.getBlob(repository, digest)) === undefined) return undefined;
      const blob = await store.open(digest);
      if (blob === undefined) return undefined;
      const bytes = Buffer.alloc(blob.size);
      for (let at = 0; at < bytes.length; ) at += await blob.read(bytes.subarray(at), at);
      await blob.close();
      return bytes;
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await frontDoor.stop({ timeoutMs: 0 });
      await uploads.close();
    },
  };
}

function principalOf(authorization: string | undefined): Principal {
  const name = Buffer.from(authorization?.slice('Basic '.length) ?? '', 'base64')
    .toString()
    .split(':')[0];
  return name === undefined || name === '' ? { kind: 'anonymous' } : { kind: 'user', name };
}

/** The header by which a user is known on the stage. */
export function loginOf(user: string): string {
  return `Basic ${Buffer.from(`${user}:x`).toString('base64')}`;
}

function send(
  agent: Agent,
  url: string,
  { method, user = 'alice', headers = {}, body }: UploadRequest & { readonly method: string },
): Promise<UploadAnswer> {
  return new Promise((resolve, reject) => {
    const length = Buffer.isBuffer(body) ? { 'content-length': String(body.length) } : {};
    const outgoing = request(url, {
      method,
      agent,
      headers: { authorization: loginOf(user), ...length, ...headers },
      timeout: 20_000,
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${url}`)));
    outgoing.on('error', reject);
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
          reused: outgoing.reusedSocket,
        }),
      );
    });
    if (body === undefined || Buffer.isBuffer(body)) outgoing.end(body);
    else {
      for (const piece of body) outgoing.write(piece);
      outgoing.end();
    }
  });
}

/** The stage for one test. */
export async function uploadStage(t: TestContext, options?: UploadStageOptions): Promise<UploadStage> {
  const stage = await startUploadStage(options);
  t.after(() => stage[Symbol.asyncDispose]());
  return stage;
}
