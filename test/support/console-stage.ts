import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { OPERATIONS } from '../../src/admin/index.ts';
import { MEDIA_TYPES } from '../../src/oci/index.ts';
import { operate } from './api-stage.ts';
import { type RunningEntrepot, startEntrepot } from './app.ts';
import { buildImage, buildReferrer, platformOf, type TestImage } from './image.ts';
import { htpasswdOf } from './logins.ts';
import { freePort, type Workspace } from './processes.ts';
import { pushImage } from './push.ts';
import { Gate } from './scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from './scripted-upstream.ts';

const ACCEPT = Object.values(MEDIA_TYPES).join(', ');

/** An answer that a client got: what it needs to find its pull again. */
export interface ClientAnswer {
  readonly status: number;
  /** `X-Request-Id` */
  readonly id: string;
  readonly cache: string;
  readonly bytes: number;
}

/** One request of a client, with its body read to the end. @param path `library/app/manifests/latest` */
export async function requestOf(
  { url }: Pick<RunningEntrepot, 'url'>,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<ClientAnswer> {
  const response = await fetch(`${url}/v2/${path}`, { headers: { accept: ACCEPT, ...headers } });
  const bytes = (await response.arrayBuffer()).byteLength;
  const read = (name: string): string => response.headers.get(name) ?? '';
  return { status: response.status, id: read('x-request-id'), cache: read('x-cache'), bytes };
}

/** Pulls an image by a tag as clients do: index, the manifest of a platform, its config and layers. */
export async function pullImage(
  entrepot: Pick<RunningEntrepot, 'url'>,
  { name, tag = 'latest', image, headers = {} }: PullOptions,
): Promise<readonly ClientAnswer[]> {
  const { manifest, config, layers } = platformOf(image, 'amd64');
  const paths = [
    `manifests/${tag}`,
    `manifests/${manifest.digest}`,
    ...[config, ...layers].map(({ digest }) => `blobs/${digest}`),
  ];
  const answers: ClientAnswer[] = [];
  for (const path of paths) {
    const answer = await requestOf(entrepot, `${name}/${path}`, { 'user-agent': 'containerd/2.1.4', ...headers });
    assert.equal(answer.status, 200, `${name} ${path}`);
    answers.push(answer);
  }
  return answers;
}

interface PullOptions {
  /** `docker.io/library/app` */
  readonly name: string;
  /** @default latest */
  readonly tag?: string;
  readonly image: TestImage;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A server with something to see in every view: rules, users, pulls that ended and one that runs, a tag that moved and is held. */
export interface LivelyStage {
  readonly entrepot: RunningEntrepot;
  readonly upstream: ScriptedUpstream;
  /** The id of a pull that has ended. */
  readonly pullId: string;
  /** Lets the pull that runs go on. */
  readonly finish: () => Promise<unknown>;
}

/** Bytes a second of a connection: the transfer takes longer than any test looks at it. */
const SLOW = 20_000;

/** Begins a transfer that comes from two upstreams over several connections, and goes on. */
async function readSplit(entrepot: RunningEntrepot, upstreams: readonly ScriptedUpstream[]): Promise<void> {
  const image = buildImage({ seed: 'model', layers: [32_000_000], architectures: ['amd64'] });
  const [layer] = platformOf(image, 'amd64').layers;
  assert.ok(layer !== undefined);
  for (const each of upstreams) {
    each.add(image, 'qwen/weights', ['1']);
    each.fault(layer.digest, { bytesPerSecond: SLOW });
  }
  // A test that ends before it cuts it.
  requestOf(entrepot, `models/qwen/weights/blobs/${layer.digest}`).catch(() => undefined);
  const patience = AbortSignal.timeout(60_000);
  for (;;) {
    const { transfers } = await operate(entrepot, OPERATIONS.status, {});
    if (transfers.some(({ upstreams: used = [], gain }) => used.length > 1 && gain !== undefined)) return;
    await sleep(100, undefined, { signal: patience });
  }
}

const basic = (user: string): string => `Basic ${Buffer.from(`${user}:${user}-pw`).toString('base64')}`;

export async function startLivelyStage(workspace: Workspace): Promise<LivelyStage> {
  const upstream = await startScriptedUpstream({ personality: 'dockerHub' });
  const other = await startScriptedUpstream();
  workspace.defer(async () => Promise.all([upstream.stop(), other.stop()]));
  const closedPort = await freePort();
  const htpasswd = workspace.path('htpasswd');
  await writeFile(htpasswd, htpasswdOf('alice', 'bob'));
  const entrepot = await startEntrepot(workspace, {
    registries: {
      'docker.io': { upstreams: [upstream.url] },
      'ghcr.io': { upstreams: [other.url] },
      'quay.io': { upstreams: [`http://127.0.0.1:${closedPort}`] },
      apps: { hosted: true },
      models: {
        transfer: { min_segment: '1MiB' },
        upstreams: [
          { url: upstream.url, name: 'hub' },
          { url: other.url, name: 'mirror.example.com' },
        ],
      },
    },
    // The pull that runs waits as long as the test looks at it.
    transport: { body_idle_timeout: '1h' },
    cache: { max_size: '20GB', pin: ['docker.io/library/redis:*'] },
    mirrors: [{ name: 'pypi', prefix: '/pypi', upstream: other.url }],
    access: {
      htpasswd,
      groups: { team: ['alice', 'bob'] },
      rules: [
        { who: 'anonymous', may: ['pull'], on: ['docker.io/**', 'ghcr.io/**', 'quay.io/**', 'models/**'] },
        { who: '@team', may: ['pull', 'catalog', 'status'], on: ['**'] },
        { who: 'alice', may: ['pull', 'push', 'delete', 'admin', 'status'], on: ['**'] },
      ],
    },
  });
  const nginx = ['one', 'two'].map((seed) => buildImage({ seed: `nginx ${seed}`, layers: [400_000, 60_000] }));
  const [first, second] = nginx as [TestImage, TestImage];
  const redis = buildImage({ seed: 'redis', layers: [90_000] });
  const running = buildImage({ seed: 'postgres', layers: [6_000_000, 700_000], architectures: ['amd64'] });
  upstream.add(first, 'library/nginx', ['latest', '1.26', '1.26.3']);
  upstream.add(second, 'library/nginx', ['1.27', '1.27.5']);
  upstream.add(redis, 'library/redis', ['8']);
  upstream.add(running, 'library/postgres', ['18']);
  other.add(first, 'prometheus/prometheus', ['v3.6.0']);
  const signature = buildReferrer(second.index, { artifactType: 'application/vnd.dev.cosign.artifact.sig.v1+json' });
  for (const blob of signature.blobs) upstream.addBlob('library/nginx', blob);
  upstream.library.addManifest('library/nginx', signature.manifest);

  const pulled = await pullImage(entrepot, { name: 'docker.io/library/nginx', image: first });
  for (const tag of ['1.26', '1.26.3']) await pullImage(entrepot, { name: 'library/nginx', tag, image: first });
  await pullImage(entrepot, {
    name: 'library/nginx',
    tag: '1.27',
    image: second,
    headers: { authorization: basic('bob') },
  });
  await requestOf(entrepot, 'library/nginx/manifests/1.27.5');
  await requestOf(entrepot, `library/nginx/manifests/${signature.manifest.digest}`);
  await pullImage(entrepot, { name: 'library/redis', tag: '8', image: redis });
  await pullImage(entrepot, { name: 'ghcr.io/prometheus/prometheus', tag: 'v3.6.0', image: first });
  await requestOf(entrepot, 'quay.io/prometheus/node-exporter/manifests/latest');
  await requestOf(entrepot, 'quay.io/prometheus/node-exporter/manifests/v1');
  await requestOf(entrepot, 'library/missing/manifests/latest');
  await requestOf(entrepot, 'apps/web/manifests/1', { authorization: basic('bob') });
  await requestOf(entrepot, 'apps/web/manifests/1');
  const target = { host: entrepot.host, repository: 'apps/web', headers: { authorization: basic('alice') } };
  await pushImage(target, buildImage({ seed: 'web', layers: [5000] }), '1.0');
  // The tag moves, and is rolled back.
  upstream.add(second, 'library/nginx', ['latest']);
  await operate(entrepot, OPERATIONS.refresh, { patterns: ['docker.io/library/nginx:latest'] });
  await operate(entrepot, OPERATIONS.rollback, {
    image: `docker.io/library/nginx:latest@${first.index.digest}`,
    reason: 'the new one does not start',
  });
  await operate(entrepot, OPERATIONS.pin, { image: 'docker.io/library/nginx:1.27' });
  await operate(entrepot, OPERATIONS.userAdd, { name: 'carol', password: 'correct horse battery' });
  await operate(entrepot, OPERATIONS.userAdd, { name: 'dave', password: 'correct horse battery' });
  await operate(entrepot, OPERATIONS.userDisable, { name: 'dave' });
  await operate(entrepot, OPERATIONS.tokenCreate, { name: 'ci', may: ['pull'], on: ['docker.io/**'] });
  await operate(entrepot, OPERATIONS.tokenCreate, { name: 'deploy', owner: 'carol', may: ['pull', 'push'], on: [] });

  const [large] = platformOf(running, 'amd64').layers;
  assert.ok(large !== undefined);
  const gate = new Gate();
  upstream.fault(large.digest, { stallAt: 3_800_000, stallGate: gate });
  const pull = pullImage(entrepot, { name: 'library/postgres', tag: '18', image: running });
  // A test that ends before it cuts it.
  pull.catch(() => undefined);
  await gate.arrived();
  await readSplit(entrepot, [upstream, other]);
  return {
    entrepot,
    upstream,
    pullId: pulled[0]?.id ?? '',
    finish: () => {
      gate.open();
      return pull;
    },
  };
}
