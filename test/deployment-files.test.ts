import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig, loadYaml } from '../src/config/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { parseAllDocuments } = await loadYaml();

/** The fields of a web service, its disk and its variables: https://render.com/docs/blueprint-spec */
const RENDER = new Set([
  'services',
  ...words(`
    type name runtime plan region repo branch rootDir buildFilter image previews
    buildCommand preDeployCommand initialDeployHook startCommand autoDeployTrigger autoDeploy
    dockerfilePath dockerContext dockerCommand registryCredential domains renderSubdomainPolicy
    healthCheckPath maxShutdownDelaySeconds numInstances scaling ipAllowList maintenanceMode
    disk disk.name disk.mountPath disk.sizeGB
    envVars envVars.key envVars.value envVars.sync envVars.generateValue envVars.fromService
  `).map((field) => `services.${field}`),
]);

/** The keys that a web application with a volume may use: https://fly.io/docs/reference/configuration/ */
const FLY = new Set(
  words(`
    app primary_region kill_signal kill_timeout console_command swap_size_mb env
    build build.dockerfile build.image build.ignorefile build.build-target build.args
    deploy deploy.strategy deploy.wait_timeout deploy.max_unavailable
    mounts mounts.source mounts.destination mounts.processes mounts.initial_size mounts.auto_extend_size_threshold
    mounts.auto_extend_size_increment mounts.auto_extend_size_limit
    http_service http_service.processes http_service.internal_port http_service.force_https
    http_service.auto_stop_machines http_service.auto_start_machines http_service.min_machines_running
    http_service.concurrency http_service.concurrency.type http_service.concurrency.soft_limit http_service.concurrency.hard_limit
    http_service.checks http_service.checks.grace_period http_service.checks.interval http_service.checks.timeout
    http_service.checks.method http_service.checks.path http_service.checks.protocol
    vm vm.size vm.memory vm.cpus vm.cpu_kind vm.processes
    metrics metrics.port metrics.path metrics.processes
  `),
);

describe('deploy/render/render.yaml', () => {
  const blueprint = documents('deploy/render/render.yaml')[0] as { services: readonly RenderService[] };

  interface RenderService {
    readonly runtime: string;
    readonly healthCheckPath: string;
    readonly disk: { readonly mountPath: string };
    readonly envVars: readonly { readonly key: string; readonly value: string }[];
    readonly maxShutdownDelaySeconds?: number;
  }

  test('has only documented fields', () => {
    assert.deepEqual(
      pathsOf(blueprint).filter((path) => !RENDER.has(path)),
      [],
    );
  });

  test('keeps the cache on the disk, with variables that the server takes', async () => {
    const [service] = blueprint.services as [RenderService];
    const { config } = await configurationOf(service.envVars.map(({ key, value }) => [key, value]));
    assert.ok(config.cache !== 'off' && config.cache.dir.startsWith(`${service.disk.mountPath}/`));
    assert.equal(service.healthCheckPath, '/healthz');
    // Render refuses it for a service with a disk, whose containers it stops after 30 s.
    assert.equal(service.maxShutdownDelaySeconds, undefined);
    assert.ok(config.timeouts.drainDelay + config.timeouts.shutdownTimeout < 30_000);
  });
});

describe('deploy/fly/fly.toml', () => {
  const values = new Map(readToml(read('deploy/fly/fly.toml')));
  const text = (key: string): string => String(values.get(key));

  test('has only documented keys', () => {
    const unknown = [...values.keys()].filter((key) => !FLY.has(key) && !key.startsWith('env.'));
    assert.deepEqual(unknown, []);
  });

  test('fits the image, with variables that the server takes', async () => {
    const variables = [...values].flatMap(([key, value]): [string, string][] =>
      key.startsWith('env.') ? [[key.slice('env.'.length), String(value)]] : [],
    );
    const { config } = await configurationOf(variables);
    const dockerfile = read('Dockerfile');
    assert.match(dockerfile, new RegExp(`^EXPOSE ${text('http_service.internal_port')}$`, 'm'));
    assert.match(dockerfile, new RegExp(`^ENV PORT=${text('http_service.internal_port')}$`, 'm'));
    assert.match(dockerfile, new RegExp(`^VOLUME ${text('mounts.destination')}$`, 'm'));
    assert.match(dockerfile, new RegExp(`^STOPSIGNAL ${text('kill_signal')}$`, 'm'));
    const { drainDelay, shutdownTimeout } = config.timeouts;
    assert.ok(Number(text('kill_timeout')) * 1000 > drainDelay + shutdownTimeout);
  });

  test('is read strictly', () => {
    assert.throws(() => readToml('a = \n'), /line 1/);
    assert.deepEqual(readToml('[a.b]\n# x\n c = "d # e" # f\n[[g]]\nh = [1, "2"]\n'), [
      ['a.b', undefined],
      ['a.b.c', 'd # e'],
      ['g', undefined],
      ['g.h', [1, '2']],
    ]);
  });
});

describe('the configurations in deploy/', () => {
  test('have no problems', async () => {
    const config = documents('deploy/kubernetes/configmap.yaml')[0] as { data: Record<string, string> };
    for (const text of [read('deploy/compose/entrepot.yaml'), config.data['entrepot.yaml'] ?? '']) {
      const loaded = await configurationOf([['ENTREPOT_CONFIG', text]]);
      assert.ok(loaded.config.cache !== 'off' && loaded.config.cache.dir === '/data');
    }
  });
});

describe('the version', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };

  test('is the same in the image, the chart, the manifests and the compose files', () => {
    assert.equal(/^ARG VERSION=(.+)$/m.exec(read('Dockerfile'))?.[1], version);
    const chart = documents('deploy/helm/entrepot/Chart.yaml')[0] as { version: string; appVersion: string };
    assert.deepEqual([chart.version, chart.appVersion], [version, version]);
    const files = globSync(['deploy/compose/**/*.yaml', 'deploy/kubernetes/*.yaml'], { cwd: root });
    const images = files.flatMap((file) => read(file).match(/image: entrepot:.+/g) ?? []);
    assert.deepEqual(images, Array(3).fill(`image: entrepot:${version}`));
  });
});

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function documents(path: string): unknown[] {
  return parseAllDocuments(read(path)).map((document) => {
    assert.deepEqual(document.errors, [], path);
    return document.toJS() as unknown;
  });
}

/** The configuration that these variables give. Throws with its problems. */
function configurationOf(variables: readonly (readonly [string, string])[]) {
  const env = { HOME: '/nowhere', ...Object.fromEntries(variables) };
  return loadConfig({ cwd: '/', env, checkReferences: false });
}

/** The paths of all keys, without positions in lists. */
function pathsOf(value: unknown, above = ''): string[] {
  if (Array.isArray(value)) return [...new Set(value.flatMap((item) => pathsOf(item, above)))];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const path = above === '' ? key : `${above}.${key}`;
    return [path, ...pathsOf(inner, path)];
  });
}

/** Tables, and keys with values that are written as in JSON: as much of TOML as the file needs. Throws on any other line. */
function readToml(text: string): [string, unknown][] {
  let table = '';
  return text.split('\n').flatMap((line, index): [string, unknown][] => {
    if (/^\s*(?:#.*)?$/.test(line)) return [];
    const header = /^\s*\[(\[?)([\w.-]+)\1?\]+\s*$/.exec(line)?.[2];
    if (header !== undefined) {
      table = `${header}.`;
      return [[header, undefined]];
    }
    const [, key, value] = /^\s*([\w-]+) = ("[^"]*"|\[.*\]|\d+|true|false)\s*(?:#.*)?$/.exec(line) ?? [];
    if (key === undefined || value === undefined) throw new Error(`line ${index + 1} is not understood: ${line}`);
    return [[table + key, JSON.parse(value)]];
  });
}
