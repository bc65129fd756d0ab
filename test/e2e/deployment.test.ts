import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig, loadYaml } from '../../src/config/index.ts';
import { goTool, needsGoTools } from '../support/go-tools.ts';
import { check, needs, run, Workspace } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const chart = `${root}deploy/helm/entrepot`;
const { parseAllDocuments } = await loadYaml();

/** What is read of an object of Kubernetes. */
interface KubernetesObject {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: { readonly template?: PodTemplate; readonly [field: string]: unknown };
}

interface PodTemplate {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: object;
}

/** The newest version of Kubernetes whose schemas the tool has; a `helm` from source assumes a very old one. */
const KUBERNETES = '1.33.0';

/** @param values arguments such as `--set replicaCount=2` */
function helmTemplate(...values: string[]): string[] {
  return [goTool('helm'), 'template', 'mirror', chart, `--kube-version=${KUBERNETES}`, ...values];
}

async function rendered(...values: string[]): Promise<KubernetesObject[]> {
  return objectsOf(await check(helmTemplate(...values)));
}

function objectsOf(text: string): KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    assert.deepEqual(document.errors, []);
    const object = document.toJS() as KubernetesObject | null;
    return object === null ? [] : [object];
  });
}

function find(objects: readonly KubernetesObject[], kind: string): KubernetesObject {
  const found = objects.find((object) => object.kind === kind);
  assert.ok(found, `${kind} among ${objects.map((object) => object.kind).join(', ')}`);
  return found;
}

const VALUES = globSync(`${chart}/ci/*.yaml`).sort();

describe('the Helm chart', needsGoTools('helm'), () => {
  test('has nothing that helm lint finds', async () => {
    assert.equal(VALUES.length, 3);
    for (const file of VALUES) await check([goTool('helm'), 'lint', '--strict', '--quiet', chart, '--values', file]);
  });

  test('configures the server with what it takes', async () => {
    for (const file of VALUES) {
      const text = find(await rendered('--values', file), 'ConfigMap').data?.['entrepot.yaml'] ?? '';
      const { config } = await loadConfig({ cwd: '/', env: { ENTREPOT_CONFIG: text }, checkReferences: false });
      assert.ok(config.cache !== 'off' && config.cache.dir === '/data', basename(file));
    }
  });

  test('replaces the pods when the configuration changes, and only then', async () => {
    const checksum = async (...values: string[]): Promise<string | undefined> =>
      find(await rendered(...values), 'StatefulSet').spec?.template?.metadata.annotations?.['checksum/config'];
    const first = await checksum();
    assert.equal(await checksum('--set', 'service.port=80'), first);
    assert.notEqual(await checksum('--set', 'config.cache.max_size=5GB'), first);
  });

  test('refuses wrong values, and says which', async () => {
    const rows: readonly (readonly [values: string, message: RegExp])[] = [
      ['replicaCount=two', /replicaCount/],
      ['image.pullPolicy=Sometimes', /pullPolicy/],
      ['image.digest=latest', /digest/],
      ['service.port=70000', /port/],
      ['persistence.size=50GB', /size/],
      ['persitence.size=50Gi', /persitence/],
      ['config.cache.max_sise=5GB', /max_sise/],
      ['config.log.level=loud', /level/],
      ['ingress.enabled=true', /ingress\.hosts is empty/],
      ['httpRoute.enabled=true', /httpRoute\.parentRefs is empty/],
      ['persistence.existingClaim=a,replicaCount=2', /set replicaCount to 1/],
    ];
    for (const [values, message] of rows) {
      const { code, stderr } = await run(helmTemplate('--set', values));
      assert.notEqual(code, 0, values);
      assert.match(stderr, message, values);
    }
  });

  test('makes the pods that the plain manifests make', async () => {
    const plain = objectsOf(await readFile(`${root}deploy/kubernetes/statefulset.yaml`, 'utf8'));
    const [expected, made] = [
      find(plain, 'StatefulSet'),
      find(await rendered('--set', 'fullnameOverride=entrepot'), 'StatefulSet'),
    ];
    assert.deepEqual(made.spec?.template?.spec, expected.spec?.template?.spec);
  });
});

describe('what Kubernetes is given', needs('kubernetes-validate'), () => {
  /** Kinds of other projects, whose schemas the tool does not have. */
  const FOREIGN = /^WARN .*(?:httproute|servicemonitor|prometheusrule|kustomization)/i;

  async function validate(files: readonly string[]): Promise<void> {
    const { code, stdout, stderr } = await run(['kubernetes-validate', '--strict', ...files]);
    const bad = `${stdout}${stderr}`
      .split('\n')
      .filter((line) => !/^(?:INFO .* passed |$)/.test(line) && !FOREIGN.test(line));
    assert.deepEqual([code, bad], [0, []]);
  }

  test('fits its schemas: the plain manifests', async () => {
    await validate(globSync(`${root}deploy/kubernetes/*.yaml`).filter((file) => !file.endsWith('kustomization.yaml')));
  });

  test('fits its schemas: the chart, with few values and with all', needsGoTools('helm'), async () => {
    await using workspace = await Workspace.open();
    const files = VALUES.map(async (file) =>
      workspace.file(basename(file), await check(helmTemplate('--values', file))),
    );
    await validate(await Promise.all(files));
  });
});

describe('the compose files', needs('docker-compose'), () => {
  for (const file of ['compose.yaml', 'minimal/compose.yaml']) {
    test(`${file} is one that compose takes`, async () => {
      await check(['docker-compose', '--file', `${root}deploy/compose/${file}`, 'config', '--quiet']);
    });
  }
});
