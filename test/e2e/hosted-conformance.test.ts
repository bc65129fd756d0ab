import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { loadHostedStore, openHostedBlobStore } from '../../src/store/index.ts';
import { type GoToolName, goTool, needsGoTools } from '../support/go-tools.ts';
import { type HostingStage, hostingStage } from '../support/hosting-stage.ts';
import { readJunit } from '../support/junit.ts';
import { run, Workspace } from '../support/processes.ts';

interface Suite {
  readonly tool: GoToolName;
  readonly env: (options: { host: string; report: string }) => NodeJS.ProcessEnv;
  /** Fewer checks than this, as the report counts them, mean that it did not run. */
  readonly least: number;
  /** What the suite itself leaves out: cases for registries that nothing is pushed to, and for those that mount otherwise. */
  readonly skipped: number;
}

const SUITES: Readonly<Record<string, Suite>> = {
  'the newest suite, with what the specification is about to say': {
    tool: 'conformance',
    env: ({ host, report }) => ({
      OCI_REGISTRY: host,
      OCI_TLS: 'disabled',
      OCI_VERSION: 'dev',
      OCI_REPO1: 'newest/one',
      OCI_REPO2: 'newest/two',
      OCI_RESULTS_DIR: report,
      OCI_DATA_SPARSE: 'true',
    }),
    least: 1028,
    skipped: 0,
  },
  'suite 1.1.1': {
    tool: 'conformance-1.1.1',
    env: ({ host, report }) => ({
      OCI_ROOT_URL: `http://${host}`,
      OCI_NAMESPACE: 'old/one',
      OCI_CROSSMOUNT_NAMESPACE: 'old/two',
      OCI_TEST_PULL: '1',
      OCI_TEST_PUSH: '1',
      OCI_TEST_CONTENT_DISCOVERY: '1',
      OCI_TEST_CONTENT_MANAGEMENT: '1',
      OCI_AUTOMATIC_CROSSMOUNT: '1',
      OCI_REPORT_DIR: report,
    }),
    least: 75,
    skipped: 4,
  },
};

/** distribution-spec's own suites against repositories whose home is here: on the disk, by the newest of the specification. */
describe('conformance of hosted repositories', () => {
  let workspace: Workspace;
  let stage: HostingStage;
  before(async () => {
    workspace = await Workspace.open();
    const directory = workspace.path('hosted');
    await mkdir(directory);
    const { openHostedStore } = await loadHostedStore();
    const records = await openHostedStore(workspace.path('hosted/hosted.db'));
    workspace.defer(() => records.close());
    const store = await openHostedBlobStore(directory);
    const scope = { after: (cleanUp: () => Promise<void>) => workspace.defer(cleanUp) };
    stage = await hostingStage(scope, { store, records, hosting: { sparse: true } });
  });
  after(() => workspace.close());

  for (const [name, { tool, env, least, skipped }] of Object.entries(SUITES)) {
    test(`${name}: every case passes`, needsGoTools(tool), async () => {
      const report = workspace.path(tool);
      const { stdout, stderr } = await run([goTool(tool)], {
        env: { ...process.env, ...env({ host: stage.host, report }) },
        timeout: 280_000,
      });
      const junit = await readFile(`${report}/junit.xml`, 'utf8').catch(() => '');
      assert.notEqual(junit, '', `${tool} wrote no report:\n${stdout}${stderr}`.slice(0, 4000));
      const cases = [...readJunit(junit)].flatMap(([title, verdicts]) =>
        verdicts.map((verdict) => ({ title, ...verdict })),
      );
      const others = cases.filter(({ status }) => status !== 'passed');
      assert.deepEqual(
        others.filter(({ status }) => status !== 'skipped'),
        [],
      );
      assert.equal(others.length, skipped, others.map(({ title }) => title).join('\n'));
      const checks = Number(/ tests="(\d+)"/.exec(junit)?.[1]);
      assert.ok(checks >= least, `${checks} checks`);
    });
  }
});
