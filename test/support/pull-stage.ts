import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AccessLine, type RunningEntrepot, startEntrepot } from './app.ts';
import { startDockerRegistry } from './engines.ts';
import { buildImage, type PlatformImage, platformOf, type TestImage } from './image.ts';
import type { Workspace } from './processes.ts';
import type { PersonalityName } from './scripted/personality.ts';
import { startScriptedUpstream } from './scripted-upstream.ts';

/** What stands behind the server: every pull test runs once with each. */
export const ORIGINS = ['docker-registry', 'scripted registries'] as const;
export type OriginKind = (typeof ORIGINS)[number];

/** A registry content comes from, and how often it was asked for it. */
export interface Origin {
  readonly url: string;
  publish(image: TestImage, repository: string): Promise<void>;
  /** Digests of blobs whose body it sent, in order. */
  blobFetches(): string[];
  /** GETs of manifests it answered. */
  manifestFetches(): number;
  /** Credentials that strayed. */
  leaks(): string[];
}

type RegistryName = 'docker.io' | 'ghcr.io';

/** An image at an origin, under the names the mirror knows it by. */
export interface Published {
  readonly registry: RegistryName;
  readonly repository: string;
  /** `docker.io/library/app:latest` */
  readonly name: string;
  readonly image: TestImage;
  /** What this machine pulls of it. */
  readonly here: PlatformImage;
}

/** Two registries, and a server in front of them that knows them as Docker Hub and GHCR. */
export interface PullStage {
  readonly entrepot: RunningEntrepot;
  /** Puts a new image, tagged `latest`, where it was not pulled yet. */
  publish(registry: RegistryName, repository: string): Promise<Published>;
  readonly origins: readonly Origin[];
}

export interface StageOptions {
  /** Besides the two registries. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Sets the stage; what it starts ends with the workspace. */
export async function setStage(workspace: Workspace, kind: OriginKind, options: StageOptions = {}): Promise<PullStage> {
  const scripted = kind === 'scripted registries';
  const origins: Record<RegistryName, Origin> = scripted
    ? { 'docker.io': await startScripted(workspace, 'dockerHub'), 'ghcr.io': await startScripted(workspace, 'ghcr') }
    : { 'docker.io': await startReal(workspace), 'ghcr.io': await startReal(workspace) };
  const entrepot = await startEntrepot(workspace, {
    registries: {
      'docker.io': { upstreams: [origins['docker.io'].url] },
      'ghcr.io': { upstreams: [origins['ghcr.io'].url] },
    },
    ...options.config,
  });
  return {
    entrepot,
    async publish(registry, repository) {
      // Schema 2 is what Docker Hub has of old; OCI is what is pushed today.
      const format = scripted && registry === 'docker.io' ? 'docker' : 'oci';
      const image = buildImage({ seed: `${registry}/${repository}`, format });
      await origins[registry].publish(image, repository);
      const here = platformOf(image, process.arch === 'arm64' ? 'arm64' : 'amd64');
      return { registry, repository, name: `${registry}/${repository}:latest`, image, here };
    },
    origins: Object.values(origins),
  };
}

async function startScripted(workspace: Workspace, personality: PersonalityName): Promise<Origin> {
  const upstream = await startScriptedUpstream({ personality });
  workspace.defer(() => upstream.stop());
  return {
    url: upstream.url,
    publish: async (image, repository) => upstream.add(image, repository, ['latest']),
    blobFetches: () => upstream.blobBodies().map((request) => request.reference ?? ''),
    manifestFetches: () => upstream.count({ kind: 'manifest', method: 'GET', status: 200 }),
    leaks: () => upstream.leaks(),
  };
}

async function startReal(workspace: Workspace): Promise<Origin> {
  const registry = await startDockerRegistry(workspace);
  const fetched = (pattern: RegExp): string[] =>
    registry
      .requests()
      .filter(({ method, status }) => method === 'GET' && (status === 200 || status === 206))
      .flatMap(({ path }) => pattern.exec(path)?.[1] ?? []);
  return {
    url: registry.url,
    publish: (image, repository) => registry.push(image, `${repository}:latest`),
    blobFetches: () => fetched(/\/blobs\/(sha256:[0-9a-f]+)$/),
    manifestFetches: () => fetched(/\/manifests\/([^/]+)$/).length,
    leaks: () => [],
  };
}

export interface PullTwice {
  readonly published: Published;
  /** The client pulls, and the test compares the digests it then has. */
  readonly pull: () => Promise<void>;
  /** The client forgets what it pulled. */
  readonly forget: () => Promise<unknown>;
  /** What the client pulls. @default the platform of this machine */
  readonly platforms?: readonly PlatformImage[];
}

/**
 * Pulls an image that was not pulled yet, forgets it, and pulls it again.
 *
 * Cold, every blob leaves its upstream exactly once; warm, nothing does. That it was this server which served both is
 * in its own access log; and the digests exist nowhere else, since the image was made for the test.
 */
export async function pullTwice(stage: PullStage, { published, pull, forget, platforms }: PullTwice): Promise<void> {
  const expected = blobsOf(platforms ?? [published.here]);

  const cold = moment(stage);
  await pull();
  await eventually(() => {
    assert.deepEqual(cold.blobFetches().sort(), expected, 'cold: each blob leaves the upstream once');
    assertServed(cold.accessLog(), { published, expected, outcomes: ['MISS', 'JOIN'] });
    assertManifestServed(cold.accessLog(), published);
    assert.deepEqual(cold.committed().sort(), expected, 'cold: each blob is in the cache afterwards');
  });

  await forget();
  const warm = moment(stage);
  await pull();
  await eventually(() => assertServed(warm.accessLog(), { published, expected, outcomes: ['HIT'] }));
  assert.deepEqual(warm.blobFetches(), [], 'warm: no blob leaves the upstream');
  assert.equal(warm.manifestFetches(), 0, 'warm: no manifest leaves the upstream');
  assert.deepEqual(
    stage.origins.flatMap((origin) => origin.leaks()),
    [],
  );
}

interface Served {
  readonly published: Published;
  readonly expected: readonly string[];
  readonly outcomes: readonly string[];
}

/** Asserts that the access log tells of each of these blobs once, and how it was served. */
function assertServed(log: readonly AccessLine[], { published, expected, outcomes }: Served): void {
  const ours = linesAbout(published, log);
  const blobs = ours.filter((line) => line.method === 'GET' && line.path.includes('/blobs/'));
  assert.deepEqual(blobs.map((line) => line.path.split('/').at(-1) ?? '').sort(), expected);
  for (const line of blobs) {
    const right = line.status === 200 && outcomes.includes(line.cache ?? '');
    assert.ok(right, `not ${outcomes.join(' or ')}: ${JSON.stringify(line)}`);
  }
}

/** Warm there may be none: Docker keeps manifests by digest when the image is long gone. */
function assertManifestServed(log: readonly AccessLine[], published: Published): void {
  assert.ok(
    linesAbout(published, log).some((line) => line.path.includes('/manifests/') && line.status === 200),
    `no manifest of ${published.name} in the access log:\n${log.map((line) => JSON.stringify(line)).join('\n')}`,
  );
}

function linesAbout({ registry, repository }: Published, log: readonly AccessLine[]): AccessLine[] {
  return log.filter((line) => line.registry === registry && line.repository === repository);
}

interface Moment {
  blobFetches(): string[];
  manifestFetches(): number;
  accessLog(): AccessLine[];
  /** Digests of the transfers that ended in the cache. */
  committed(): string[];
}

/** What happens from now on. */
function moment({ origins, entrepot }: PullStage): Moment {
  const before = origins.map((origin) => ({ blobs: origin.blobFetches().length, manifests: origin.manifestFetches() }));
  const lines = entrepot.accessLog().length;
  const logged = entrepot.logs().length;
  return {
    blobFetches: () => origins.flatMap((origin, i) => origin.blobFetches().slice(before[i]?.blobs)),
    manifestFetches: () =>
      origins.reduce((sum, origin, i) => sum + origin.manifestFetches() - (before[i]?.manifests ?? 0), 0),
    accessLog: () => entrepot.accessLog().slice(lines),
    committed: () =>
      entrepot
        .logs()
        .slice(logged)
        .filter((line) => line.msg === 'ingest.finished' && line['outcome'] === 'committed')
        .map((line) => String(line['digest'])),
  };
}

/** Asserts again until it holds: a log line arrives a moment after the answer it is about. */
export async function eventually(assertion: () => void, { within = 5000 }: { within?: number } = {}): Promise<void> {
  const deadline = Date.now() + within;
  for (;;) {
    try {
      return assertion();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(20);
  }
}

/** Configs and layers of these platforms, sorted. */
export function blobsOf(platforms: readonly PlatformImage[]): string[] {
  return platforms.flatMap(({ config, layers }) => [config, ...layers].map((blob) => blob.digest)).sort();
}
