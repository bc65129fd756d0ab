import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AccessLine, type RunningEntrepot, startEntrepot } from './app.ts';
import { startDockerRegistry } from './engines.ts';
import { buildImage, type PlatformImage, platformOf, type TestImage } from './image.ts';
import type { Workspace } from './processes.ts';
import { type PersonalityName, startScriptedUpstream } from './scripted-upstream.ts';

/** What stands behind the server: every pull test runs once with each. */
export const ORIGINS = ['docker-registry', 'scripted registries'] as const;
export type OriginKind = (typeof ORIGINS)[number];

/** A registry content comes from, and how often it was asked for it. */
interface Origin {
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
  /** Puts a new image, tagged `latest`, where nobody has pulled it yet. */
  publish(registry: RegistryName, repository: string): Promise<Published>;
  blobFetches(): string[];
  manifestFetches(): number;
  leaks(): string[];
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
  const all = Object.values(origins);
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
    blobFetches: () => all.flatMap((origin) => origin.blobFetches()),
    manifestFetches: () => all.reduce((sum, origin) => sum + origin.manifestFetches(), 0),
    leaks: () => all.flatMap((origin) => origin.leaks()),
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
 * Pulls an image nobody has pulled yet, forgets it, and pulls it again.
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
  });

  await forget();
  const warm = moment(stage);
  await pull();
  await eventually(() => assertServed(warm.accessLog(), { published, expected, outcomes: ['HIT'] }));
  assert.deepEqual(warm.blobFetches(), [], 'warm: no blob leaves the upstream');
  assert.equal(warm.manifestFetches(), 0, 'warm: no manifest leaves the upstream');
  assert.deepEqual(stage.leaks(), []);
}

interface Served {
  readonly published: Published;
  readonly expected: readonly string[];
  readonly outcomes: readonly string[];
}

/** Asserts that the access log tells of this image's tag, and of each of its blobs once, served as they should be. */
function assertServed(log: readonly AccessLine[], { published, expected, outcomes }: Served): void {
  const ours = log.filter((line) => line.registry === published.registry && line.repository === published.repository);
  assert.ok(
    ours.some((line) => line.path.includes('/manifests/') && line.status === 200),
    `no manifest of ${published.name} in the access log:\n${log.map((line) => JSON.stringify(line)).join('\n')}`,
  );
  const blobs = ours.filter((line) => line.method === 'GET' && line.path.includes('/blobs/'));
  assert.deepEqual(blobs.map((line) => line.path.split('/').at(-1) ?? '').sort(), expected);
  for (const line of blobs) {
    const right = line.status === 200 && outcomes.includes(line.cache ?? '');
    assert.ok(right, `not ${outcomes.join(' or ')}: ${JSON.stringify(line)}`);
  }
}

/** What happens from now on. */
function moment(stage: PullStage): Pick<PullStage, 'blobFetches' | 'manifestFetches'> & { accessLog(): AccessLine[] } {
  const [blobs, manifests] = [stage.blobFetches().length, stage.manifestFetches()];
  const lines = stage.entrepot.accessLog().length;
  return {
    blobFetches: () => stage.blobFetches().slice(blobs),
    manifestFetches: () => stage.manifestFetches() - manifests,
    accessLog: () => stage.entrepot.accessLog().slice(lines),
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
