import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run, Workspace } from '../test/support/processes.ts';
import { planProcesses, type Sharing } from './test-processes.ts';

const FILES: Readonly<Record<string, string>> = {
  'passes.test.mjs': "test('passes', () => {});",
  'skips.test.mjs': "test('is skipped', { skip: true }, () => {});",
  'needs.test.mjs': "describe('a suite', { skip: 'needs x: apt-get install x' }, () => test('of it', () => {}));",
  'fails.test.mjs': "describe('a suite', () => test('fails (here)', () => assert.equal(1, 2)));",
  'crashes.test.mjs': "test('crashes', () => { console.error('last words'); process.exit(7); });",
  'leaves.test.mjs': "test('leaves', () => process.exit(0));",
  'throws.test.mjs': "throw new Error('at the top');",
  'hooks.test.mjs':
    "beforeEach(() => { globalThis.hooked = true; });\ntest('has a hook', () => assert.ok(globalThis.hooked));",
  'unhooked.test.mjs':
    "beforeEach(() => { globalThis.hooked = false; });\ntest('has another', () => assert.ok(!globalThis.hooked));",
  'waits.test.mjs': "await new Promise(setImmediate);\ntest('waits first', () => {});",
  'hangs.test.mjs': "test('hangs', () => new Promise((resolve) => setTimeout(resolve, 2000)));",
};

const HEAD = "import assert from 'node:assert/strict'; import { beforeEach, describe, test } from 'node:test';\n";

/** Runs what its arguments name: `run()` of node:test does nothing within a test. */
const HARNESS = `
import { run } from 'node:test';
import { planProcesses } from ${JSON.stringify(new URL('test-processes.ts', import.meta.url))};
import { TestReport } from ${JSON.stringify(new URL('test-report.ts', import.meta.url))};
const [root, names, execArgv, sharing] = process.argv.slice(2).map((word) => JSON.parse(word));
const processes = planProcesses(names.map((file) => ({ file, sharing })), { root, directory: root, processors: 1 });
const report = new TestReport({ root, processes, output: process.stdout });
const files = processes.map(({ entry }) => entry);
for await (const event of run({ files, concurrency: 2, execArgv, cwd: root })) report.take(event);
process.exitCode = report.end();
`;

/** What the report of a run of these files says, and the exit code. */
async function report(
  names: readonly string[],
  execArgv: readonly string[] = [],
  sharing: Sharing = 'none',
): Promise<Reported> {
  await using workspace = await Workspace.open();
  for (const name of names) await workspace.file(name, HEAD + FILES[name]);
  const harness = await workspace.file('harness.mjs', HARNESS);
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_TEST_CONTEXT'));
  const words = [workspace.dir, names, execArgv, sharing].map((word) => JSON.stringify(word));
  const { code, stdout, stderr } = await run([process.execPath, '--no-warnings', harness, ...words], { env });
  return { code, said: stdout + stderr };
}

interface Reported {
  readonly code: number;
  readonly said: string;
}

describe('a report of a test run', () => {
  test('counts what passed and was skipped, and ends with 0', async () => {
    const { code, said } = await report(['passes.test.mjs', 'skips.test.mjs']);
    assert.equal(code, 0, said);
    assert.match(said, /ℹ files 2, tests 2\nℹ pass 1\nℹ fail 0\nℹ skipped 1\n/);
    assert.match(said, /Slowest 2 tests:\n +\d\.\d s /);
  });

  test('says what was skipped and why, whole suites too', async () => {
    const { code, said } = await report(['passes.test.mjs', 'skips.test.mjs', 'needs.test.mjs']);
    assert.equal(code, 0, said);
    assert.match(said, /^﹣ is skipped is skipped$/m);
    assert.match(said, /^﹣ a suite is skipped: needs x: apt-get install x$/m);
    assert.match(said, /ℹ skipped 2\n/);
  });

  test('shows a failure with its place and the command for it alone, and ends with 1', async () => {
    const { code, said } = await report(['passes.test.mjs', 'fails.test.mjs']);
    assert.equal(code, 1);
    assert.match(said, /✖ a suite › fails \(here\)\n  fails\.test\.mjs:2:\d+\n/);
    assert.match(said, /1 !== 2/);
    assert.match(said, /scripts\/test\.ts unit fails\.test\.mjs --test-name-pattern='fails \\\(here\\\)'\n/);
    assert.match(said, /ℹ fail 1\n/);
  });

  test('shows a process that crashes with its last words', async () => {
    const { code, said } = await report(['crashes.test.mjs', 'throws.test.mjs']);
    assert.equal(code, 1);
    assert.match(said, /✖ the process of crashes\.test\.mjs did not end in order\n[^✖]*exited with 7\n +last words\n/);
    assert.match(said, /✖ the process of throws\.test\.mjs did not end in order\n[^✖]*Error: at the top\n/);
  });

  test('does not take an exit with 0 in the middle for success', async () => {
    const { code, said } = await report(['passes.test.mjs', 'leaves.test.mjs']);
    assert.equal(code, 1);
    assert.match(said, /✖ the process of leaves\.test\.mjs did not end in order\n[^✖]*before its tests had ended/);
  });

  test('shows a test that hangs', async () => {
    const { code, said } = await report(['hangs.test.mjs'], ['--test-timeout=300']);
    assert.equal(code, 1);
    assert.match(said, /✖ hangs\n  hangs\.test\.mjs:2:1\n +test timed out after 300ms/);
  });

  test('does not take a run without a test for success', async () => {
    const { code, said } = await report(['passes.test.mjs'], ['--test-name-pattern=nothing']);
    assert.equal(code, 1);
    assert.match(said, /no test ran/);
  });
});

describe('files that share a process', () => {
  test('are reported as if each ran alone', async () => {
    const { code, said } = await report(['fails.test.mjs', 'passes.test.mjs', 'skips.test.mjs'], [], 'any');
    assert.equal(code, 1);
    assert.match(said, /✖ a suite › fails \(here\)\n  fails\.test\.mjs:2:\d+\n/);
    assert.match(said, /scripts\/test\.ts unit fails\.test\.mjs --test-name-pattern='fails \\\(here\\\)'\n/);
    assert.match(said, /ℹ files 3, tests 3\nℹ pass 1\nℹ fail 1\nℹ skipped 1\n/);
  });

  test('run the hooks of a file for its own tests alone', async () => {
    const { code, said } = await report(['hooks.test.mjs', 'unhooked.test.mjs'], [], 'neighbours');
    assert.equal(code, 0, said);
    assert.match(said, /ℹ files 2, tests 2\nℹ pass 2\n/);
  });

  test('run where another cannot be imported, which is named', async () => {
    const { code, said } = await report(['passes.test.mjs', 'throws.test.mjs', 'waits.test.mjs'], [], 'any');
    assert.equal(code, 1);
    assert.match(said, /✖ throws\.test\.mjs cannot be imported\n  throws\.test\.mjs\n[^✖]*Error: at the top\n/);
    assert.match(said, /alone: bin\/pinned-node scripts\/test\.ts unit throws\.test\.mjs\n/);
    assert.match(said, /ℹ files 3, tests 3\nℹ pass 2\nℹ fail 1\n/);
  });

  test('are chosen by the names of their tests, not by their own', async () => {
    const names = ['passes.test.mjs', 'waits.test.mjs'];
    const { code, said } = await report(names, ['--test-name-pattern=s'], 'any');
    assert.equal(code, 0, said);
    assert.match(said, /ℹ files 2, tests 2\n/);
    assert.match((await report(names, ['--test-name-pattern=passes|mjs'], 'any')).said, /ℹ files 2, tests 1\n/);
  });

  test('take others with them where the process ends in the middle, which is no success', async () => {
    const { code, said } = await report(['leaves.test.mjs', 'passes.test.mjs'], [], 'neighbours');
    assert.equal(code, 1);
    assert.match(said, /✖ the process of 2 files did not end in order\n/);
  });
});

describe('planProcesses()', () => {
  /** Plans files that have these sizes in bytes. */
  function plan(t: TestContext, files: Readonly<Record<string, number>>, sharing: Sharing, processors = 2) {
    const root = mkdtempSync(join(tmpdir(), 'entrepot-plan-'));
    t.after(() => rmSync(root, { recursive: true, force: true }));
    for (const [name, size] of Object.entries(files)) writeFileSync(join(root, name), 'x'.repeat(size));
    const chosen = Object.keys(files).map((file) => ({ file, sharing }));
    return planProcesses(chosen, { root, directory: root, processors }).map(({ entry, files: within }) => ({
      entry: relative(root, entry),
      files: within,
    }));
  }
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`file-${i + 10}.test.mjs`, i]));

  test('lets neighbours share a process, sixteen at most', (t) => {
    const planned = plan(t, many, 'neighbours');
    assert.deepEqual(
      planned.flatMap(({ files }) => files),
      Object.keys(many),
    );
    assert.ok(planned.every(({ files }) => files.length > 1 && files.length <= 16));
  });

  test('deals out others so that the processes last about the same, the longest first', (t) => {
    const planned = plan(t, { a: 10, b: 20, c: 30, d: 5, e: 4 }, 'any');
    assert.deepEqual(
      planned.map(({ files }) => files),
      [
        ['c', 'd'],
        ['b', 'a', 'e'],
      ],
    );
  });

  test('gives each file that shares none a process of its own', (t) => {
    const names = ['passes.test.mjs', 'skips.test.mjs'];
    const planned = plan(t, { 'passes.test.mjs': 1, 'skips.test.mjs': 1 }, 'none');
    assert.deepEqual(
      planned.map(({ entry }) => entry),
      names,
    );
  });

  test('keeps every processor busy', (t) => {
    for (const sharing of ['neighbours', 'any'] as const) assert.equal(plan(t, many, sharing, 20).length, 20);
  });
});

describe('scripts/test.ts', () => {
  const script = fileURLToPath(new URL('test.ts', import.meta.url));

  for (const [words, code, message] of [
    [[], 2, /usage: /],
    [['unit', '--test-shard=1/2'], 2, /unknown option --test-shard/],
    [['unit', 'there-is-no-such-file'], 1, /no test file's path contains there-is-no-such-file/],
  ] as const) {
    test(`ends with ${code} where its arguments are ${JSON.stringify(words)}`, async () => {
      const result = await run([process.execPath, script, ...words]);
      assert.equal(result.code, code);
      assert.match(result.stderr, message);
    });
  }
});
