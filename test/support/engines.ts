import { mkdir, rm } from 'node:fs/promises';
import { type Digest, digestAlgorithm, digestHex } from '../../src/oci/index.ts';
import { goTool } from './go-tools.ts';
import { type TestImage, writeOciLayout } from './image.ts';
import { check, freePort, type RunningProcess, type RunResult, run, type Workspace } from './processes.ts';

/** A real docker-registry (CNCF Distribution) with its content in a workspace. */
export interface DockerRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly url: string;
  readonly process: RunningProcess;
  /** Pushes an image with skopeo, from an OCI layout: `push(image, 'library/app:latest')`. */
  push(image: TestImage, name: string): Promise<void>;
  /** Requests of its access log: method, path, status. */
  requests(): { method: string; path: string; status: number }[];
}

/** Starts docker-registry on a free port. @param program another version of CNCF Distribution */
export async function startDockerRegistry(
  workspace: Workspace,
  { program = 'docker-registry' }: { readonly program?: string } = {},
): Promise<DockerRegistry> {
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: workspace.path(`registry-${port}`) }, delete: { enabled: true } },
    http: { addr: host, secret: 'of no consequence' },
  };
  // JSON is YAML.
  const file = await workspace.file(`registry-${port}.yml`, JSON.stringify(config));
  const process = await workspace.start([program, 'serve', file], {
    ready: async () => (await fetch(`http://${host}/v2/`)).ok,
  });
  return {
    host,
    url: `http://${host}`,
    process,
    async push(image, name) {
      const layout = workspace.path(`layout-${port}-${name.replace(/\W/g, '-')}`);
      await writeOciLayout(layout, { image });
      await skopeo(
        'copy',
        '--all',
        '--preserve-digests',
        '--dest-tls-verify=false',
        `oci:${layout}:image`,
        `docker://${host}/${name}`,
      );
    },
    requests: () =>
      [...process.output().matchAll(/"([A-Z]+) (\S+) HTTP\/1\.1" (\d+)/g)].map(
        ([, method = '', path = '', status]) => ({
          method,
          path,
          status: Number(status),
        }),
      ),
  };
}

/** What a registry was sent, by its access log: uploads and manifests, each with its path. */
export function sentTo(registry: DockerRegistry): readonly string[] {
  return registry
    .requests()
    .filter(({ method, status }) => !['GET', 'HEAD'].includes(method) && status < 300)
    .map(
      ({ method, path }) => `${method} ${path.replace(/\?.*$/, '').replace(/uploads\/[0-9a-f-]{36}$/, 'uploads/ID')}`,
    );
}

/** Starts nginx with the given `server` blocks inside `http`; ready when the port answers. */
export async function startNginx(
  workspace: Workspace,
  { port, http }: { port: number; http: string },
): Promise<RunningProcess> {
  const dir = workspace.path(`nginx-${port}`);
  await mkdir(dir, { recursive: true });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${dir}/${name};`,
  );
  // Started by root it would become www-data, which may not look into the workspace.
  const user = process.getuid?.() === 0 ? 'user root root;' : '';
  const file = await workspace.file(
    `nginx-${port}/nginx.conf`,
    `${user} daemon off; pid ${dir}/pid; error_log stderr warn; worker_processes 1;
     events { worker_connections 1024; }
     http { access_log off; ${temporary.join(' ')} ${http} }`,
  );
  return workspace.start(['nginx', '-e', 'stderr', '-p', dir, '-c', file], {
    env: withSbin(),
    ready: async () => (await fetch(`http://127.0.0.1:${port}/`, { redirect: 'manual' })).status > 0,
  });
}

/** skopeo, which must succeed; returns its standard output. */
export function skopeo(...args: string[]): Promise<string> {
  return check(['skopeo', ...args]);
}

/** Docker Engine of its own: data, socket and containerd in the workspace, no network, no iptables. */
export interface DockerEngine {
  readonly process: RunningProcess;
  /** The docker command line against it; must succeed. */
  docker(...args: string[]): Promise<string>;
}

export async function startDockerd(
  workspace: Workspace,
  {
    mirrors = [],
    insecure = [],
    configFile,
    before = [],
    env: more = {},
  }: {
    mirrors?: readonly string[];
    insecure?: readonly string[];
    /** @default an empty configuration */
    configFile?: string;
    /** The command that runs it, in front of its own. */
    before?: readonly string[];
    env?: NodeJS.ProcessEnv;
  } = {},
): Promise<DockerEngine> {
  const socket = `unix://${workspace.path('docker.sock')}`;
  const env = withSbin({
    ...more,
    DOCKER_HOST: socket,
    DOCKER_CONFIG: workspace.path('docker-config'),
  });
  // An empty file: the machine's own /etc/docker/daemon.json is not ours to follow.
  const config = configFile ?? (await workspace.file('daemon.json', '{}'));
  const process = await workspace.start(
    [
      ...before,
      'dockerd',
      `--config-file=${config}`,
      '--iptables=false',
      '--ip6tables=false',
      '--bridge=none',
      '--storage-driver=vfs',
      `--data-root=${workspace.path('docker')}`,
      `--exec-root=${workspace.path('docker-exec')}`,
      `--pidfile=${workspace.path('docker.pid')}`,
      `--host=${socket}`,
      ...mirrors.map((url) => `--registry-mirror=${url}`),
      ...insecure.map((host) => `--insecure-registry=${host}`),
    ],
    { env, within: 60_000, ready: async () => (await run(['docker', 'version'], { env })).code === 0 },
  );
  return { process, docker: (...args) => check(['docker', ...args], { env }) };
}

/** containerd of its own, driven by ctr. */
export interface Containerd {
  readonly process: RunningProcess;
  /** ctr against it; must succeed. */
  ctr(...args: string[]): Promise<string>;
  /** Digests in its content store. */
  content(): Promise<string[]>;
}

export async function startContainerd(
  workspace: Workspace,
  {
    env: more = {},
    cri,
  }: {
    env?: NodeJS.ProcessEnv;
    /** A certs.d: the service that the kubelet uses is then there. @default it is not */
    cri?: string;
  } = {},
): Promise<Containerd> {
  const socket = workspace.path('containerd.sock');
  const config = await workspace.file(
    'containerd.toml',
    `version = 2
     root = "${workspace.path('containerd')}"
     state = "${workspace.path('containerd-state')}"
     ${cri === undefined ? 'disabled_plugins = ["io.containerd.grpc.v1.cri"]' : ''}
     [grpc]
       address = "${socket}"
     [ttrpc]
       address = "${socket}.ttrpc"
     ${
       cri === undefined
         ? ''
         : `[plugins."io.containerd.grpc.v1.cri".containerd]
       snapshotter = "native"
     [plugins."io.containerd.grpc.v1.cri".registry]
       config_path = "${cri}"`
     }`,
  );
  return runContainerd(workspace, { config, socket, env: more });
}

/** How containerd 2.1 and later fetches one layer: by parts of so many bytes, so many at once. */
export interface LayerParts {
  readonly bytes: number;
  readonly atOnce: number;
}

/** Starts containerd 2, as `scripts/go-tools.ts` builds it. It asks the registry itself, and not its ctr. */
export async function startContainerd2(workspace: Workspace, { bytes, atOnce }: LayerParts): Promise<Containerd> {
  const socket = workspace.path('containerd2.sock');
  const config = await workspace.file(
    'containerd2.toml',
    `version = 3
     root = "${workspace.path('containerd2')}"
     state = "${workspace.path('containerd2-state')}"
     disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]
     [grpc]
       address = "${socket}"
     [ttrpc]
       address = "${socket}.ttrpc"
     [plugins."io.containerd.transfer.v1.local"]
       max_concurrent_downloads = ${atOnce}
       concurrent_layer_fetch_buffer = ${bytes}
     # No unpacking needs an overlay: \`native\` copies.
     [[plugins."io.containerd.transfer.v1.local".unpack_config]]
       platform = "linux/${process.arch === 'arm64' ? 'arm64' : 'amd64'}"
       snapshotter = "native"`,
  );
  return runContainerd(workspace, { config, socket, programs: [goTool('containerd'), goTool('ctr')] });
}

async function runContainerd(
  workspace: Workspace,
  {
    config,
    socket,
    env: more = {},
    programs: [containerd, client] = ['containerd', 'ctr'],
  }: {
    readonly config: string;
    readonly socket: string;
    readonly env?: NodeJS.ProcessEnv;
    readonly programs?: readonly [containerd: string, ctr: string];
  },
): Promise<Containerd> {
  // ctr itself asks the registry, so what it is to go through stands in its environment.
  const env = withSbin(more);
  const ctr = (...args: string[]): Promise<string> => check([client, '--address', socket, ...args], { env });
  const process = await workspace.start([containerd, '--config', config], {
    env,
    ready: async () => (await run([client, '--address', socket, 'version'], { env })).code === 0,
  });
  return {
    process,
    ctr,
    content: async () => (await ctr('content', 'ls', '--quiet')).split('\n').filter((line) => line !== ''),
  };
}

/** podman with storage and registries.conf of its own; there is no daemon. */
export interface Podman {
  /** podman, which must succeed. */
  podman(...args: string[]): Promise<string>;
  /** podman, whatever it says. */
  attempt(...args: string[]): Promise<RunResult>;
}

export async function preparePodman(
  workspace: Workspace,
  registriesConf: string,
  { env: more = {}, storage = ['--storage-driver=vfs'] }: { env?: NodeJS.ProcessEnv; storage?: readonly string[] } = {},
): Promise<Podman> {
  const env = {
    ...process.env,
    ...more,
    CONTAINERS_REGISTRIES_CONF: await workspace.file('registries.conf', registriesConf),
    REGISTRY_AUTH_FILE: await workspace.file('podman-auth.json', '{}'),
  };
  const command = [
    'podman',
    `--root=${workspace.path('podman')}`,
    `--runroot=${workspace.path('podman-run')}`,
    ...storage,
  ];
  return {
    podman: (...args) => check([...command, ...args], { env }),
    attempt: (...args) => run([...command, ...args], { env }),
  };
}

/** Where skopeo's `dir:` keeps a blob or manifest it copied. */
export function inDirectory(directory: string, digest: Digest): { blob: string; manifest: string } {
  const hex = digestAlgorithm(digest) === 'sha256' ? digestHex(digest) : digest;
  return { blob: `${directory}/${hex}`, manifest: `${directory}/${hex}.manifest.json` };
}

/** Copies everything of an image into a fresh `dir:`, every platform. */
export async function skopeoPull(
  workspace: Workspace,
  { name, into }: { name: string; into: string },
): Promise<string> {
  const directory = workspace.path(into);
  await rm(directory, { recursive: true, force: true });
  await skopeo('copy', '--all', '--preserve-digests', '--src-tls-verify=false', `docker://${name}`, `dir:${directory}`);
  return directory;
}

/** Engines find their helpers in sbin, which a user's PATH may not name. */
function withSbin(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, ...extra };
}
