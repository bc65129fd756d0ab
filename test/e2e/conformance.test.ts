import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { startEntrepot } from '../support/app.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/engines.ts';
import { type GoToolName, goTool, needsGoTools } from '../support/go-tools.ts';
import { readJunit, type Verdict } from '../support/junit.ts';
import { needs, run, Workspace } from '../support/processes.ts';
import { pushStage } from '../support/push-stage.ts';
import { type SplitFront, startSplitFront } from '../support/split-methods.ts';

interface Suite {
  readonly tool: GoToolName;
  /** What it is told about the registry under test, in its own variables. */
  readonly env: (options: { host: string; repository: string; report: string }) => NodeJS.ProcessEnv;
  /** Fewer cases than this mean that it did not run. */
  readonly least: number;
}

const SUITES: Readonly<Record<string, Suite>> = {
  'suite 1.1.1': {
    tool: 'conformance-1.1.1',
    env: ({ host, repository, report }) => ({
      OCI_ROOT_URL: `http://${host}`,
      OCI_NAMESPACE: repository,
      OCI_CROSSMOUNT_NAMESPACE: `${repository}-mounted`,
      OCI_TEST_PULL: '1',
      OCI_TEST_PUSH: '1',
      OCI_TEST_CONTENT_DISCOVERY: '1',
      OCI_TEST_CONTENT_MANAGEMENT: '1',
      OCI_REPORT_DIR: report,
    }),
    least: 70,
  },
  'the newest suite': {
    tool: 'conformance',
    env: ({ host, repository, report }) => ({
      OCI_REGISTRY: host,
      OCI_TLS: 'disabled',
      OCI_VERSION: '1.1',
      OCI_REPO1: repository,
      OCI_REPO2: `${repository}-mounted`,
      OCI_RESULTS_DIR: report,
      // A digest is served from the cache although the registry deleted it (docs/cache.md): the suite's own setting for that.
      OCI_API_BLOBS_ATOMIC: 'false',
      OCI_API_MANIFESTS_ATOMIC: 'false',
    }),
    least: 250,
  },
};

/** distribution-spec's own suites, through a front that sends their pushes to the registry and their pulls to the mirror. */
describe('conformance', needs('docker-registry'), () => {
  let workspace: Workspace;
  let registry: DockerRegistry;
  let front: SplitFront;
  before(async () => {
    workspace = await Workspace.open();
    registry = await startDockerRegistry(workspace);
    const mirror = await startEntrepot(workspace, {
      known_registries: false,
      default_registry: 'apps',
      registries: { apps: { upstreams: [registry.url] } },
      // The suites push and pull the same tag within milliseconds.
      cache: { tags: { fresh_for: '0s' }, not_found_for: '0s' },
      log: { level: 'info', format: 'json' },
    });
    front = await startSplitFront({ reads: mirror.url, writes: registry.url });
    workspace.defer(async () => front[Symbol.asyncDispose]());
  });
  after(() => workspace.close());

  for (const [name, suite] of Object.entries(SUITES)) {
    test(`${name}: nothing fails through the mirror that passes without it`, needsGoTools(suite.tool), async () => {
      await assertNoWorse(suite, { workspace, straight: registry.host, here: front.host });
    });
  }
});

/** What passes on to a registry, asked of this server alone: every push, deletion and pull. */
describe('conformance of pushes that pass through', needs('docker-registry'), () => {
  for (const [name, suite] of Object.entries(SUITES)) {
    test(`${name}: nothing fails that passes without this server`, needsGoTools(suite.tool), async (t) => {
      const workspace = await Workspace.open();
      t.after(() => workspace.close());
      const registry = await startDockerRegistry(workspace);
      const { url } = await pushStage(t, {
        upstreams: [{ url: registry.url }],
        decide: () => ({ allowed: true }),
        world: { on: 'filesystem', notFoundFor: 0 },
      });
      await assertNoWorse(suite, { workspace, straight: registry.host, here: new URL(url).host });
    });
  }
});

/** Runs a suite on a registry straight, and here. */
async function assertNoWorse(
  suite: Suite,
  { workspace, straight: host, here }: { workspace: Workspace; straight: string; here: string },
): Promise<void> {
  const straight = await verdicts(suite, { workspace, host, id: `${suite.tool}-straight` });
  const found = await verdicts(suite, { workspace, host: here, id: `${suite.tool}-here` });
  const passed = (cases: readonly Verdict[] = []): number => cases.filter(({ status }) => status === 'passed').length;
  const passedStraight = passed([...straight.values()].flat());
  assert.ok(straight.size >= suite.least, `${straight.size} cases`);
  assert.ok(passedStraight > suite.least * 0.7, `${passedStraight} of ${straight.size} pass straight`);
  const worse = [...straight].flatMap(([title, cases]) => {
    const there = found.get(title);
    if (passed(there) >= passed(cases)) return [];
    return [`${title}: ${there?.map(({ status, report }) => `${status}\n${report}`).join('\n') ?? 'absent'}`];
  });
  assert.deepEqual(worse, []);
}

/** Runs a suite on a repository of its own. */
async function verdicts(
  suite: Suite,
  { workspace, host, id }: { workspace: Workspace; host: string; id: string },
): Promise<ReadonlyMap<string, readonly Verdict[]>> {
  const report = workspace.path(id);
  const env = { ...process.env, ...suite.env({ host, repository: `conformance/${id}`, report }) };
  const { stdout, stderr } = await run([goTool(suite.tool)], { env, timeout: 280_000 });
  const junit = await readFile(`${report}/junit.xml`, 'utf8').catch(() => '');
  assert.notEqual(junit, '', `${suite.tool} wrote no report:\n${stdout}${stderr}`.slice(0, 4000));
  return readJunit(junit);
}
