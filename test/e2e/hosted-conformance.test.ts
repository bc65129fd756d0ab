import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { startEntrepot } from '../support/app.ts';
import { type GoToolName, goTool, needsGoTools } from '../support/go-tools.ts';
import { hostingStage } from '../support/hosting-stage.ts';
import { readJunit } from '../support/junit.ts';
import { htpasswdOf } from '../support/logins.ts';
import { run, Workspace } from '../support/processes.ts';
import { startSplitFront } from '../support/split-methods.ts';

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

const LOGIN = { OCI_USERNAME: 'alice', OCI_PASSWORD: 'alice-pw' };

/** distribution-spec's own suites against a server that hosts, whose rules let one user push. */
describe('conformance of hosted repositories', () => {
  let workspace: Workspace;
  let host: string;
  before(async () => {
    workspace = await Workspace.open();
    const htpasswd = workspace.path('htpasswd');
    await writeFile(htpasswd, htpasswdOf('alice'));
    const rules = [{ who: 'alice', may: ['pull', 'push', 'delete'], on: ['apps/**'] }];
    ({ host } = await startEntrepot(workspace, {
      known_registries: false,
      default_registry: 'apps',
      registries: { apps: { hosted: true, sparse: true } },
      access: { htpasswd, rules },
    }));
  });
  after(() => workspace.close());

  for (const [name, { tool, env, least, skipped }] of Object.entries(SUITES)) {
    test(`${name}: every case passes`, needsGoTools(tool), async () => {
      const report = workspace.path(tool);
      const { stdout, stderr } = await run([goTool(tool)], {
        env: { ...process.env, ...LOGIN, ...env({ host, report }) },
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

test(
  'read through another entrepot that mirrors it, nothing fails that passes straight',
  needsGoTools('conformance'),
  async (t) => {
    const workspace = await Workspace.open();
    t.after(() => workspace.close());
    const { host } = await hostingStage(t, { hosting: { sparse: true } });
    const mirror = await startEntrepot(workspace, {
      known_registries: false,
      default_registry: 'apps',
      registries: { apps: { upstreams: [`http://${host}`] } },
      cache: { tags: { fresh_for: '0s' }, not_found_for: '0s' },
    });
    const front = await startSplitFront({ reads: mirror.url, writes: `http://${host}` });
    t.after(() => front[Symbol.asyncDispose]());
    const failures = async (asked: string): Promise<readonly string[]> => {
      const report = workspace.path(asked.replace(':', '-'));
      const env = {
        OCI_REGISTRY: asked,
        OCI_TLS: 'disabled',
        OCI_VERSION: 'dev',
        OCI_REPO1: `through/${asked.replace(/\D/g, '')}`,
        OCI_REPO2: `through/${asked.replace(/\D/g, '')}-mounted`,
        OCI_RESULTS_DIR: report,
        OCI_DATA_SPARSE: 'true',
        // A digest is served from the cache although the registry deleted it (docs/cache.md): the suite's own setting for that.
        OCI_API_BLOBS_ATOMIC: 'false',
        OCI_API_MANIFESTS_ATOMIC: 'false',
      };
      await run([goTool('conformance')], { env: { ...process.env, ...env }, timeout: 280_000 });
      const junit = await readFile(`${report}/junit.xml`, 'utf8');
      assert.ok(Number(/ tests="(\d+)"/.exec(junit)?.[1]) > 900);
      return [...readJunit(junit)].flatMap(([title, verdicts]) =>
        verdicts
          .filter(({ status }) => status !== 'passed' && status !== 'skipped')
          .map(({ report: why }) => title + why),
      );
    };
    assert.deepEqual(await failures(host), []);
    assert.deepEqual(await failures(front.host), []);
  },
);
