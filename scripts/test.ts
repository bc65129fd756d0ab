/**
 * Runs test rings: `node scripts/test.ts unit integration [part of a path…] [--test-…]`.
 *
 * The globs are named here because `node --test` on its own would also run everything under test/. What is shown is in
 * test-report.ts, what runs together in one process in test-processes.ts.
 */
import { globSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { planProcesses, type Sharing } from './test-processes.ts';
import { TestReport } from './test-report.ts';

interface Ring {
  readonly globs: readonly string[];
  /** Processes at the same time. */
  readonly concurrency: number;
  /** One test may take this long, in milliseconds: a bound for what hangs, not an expectation. */
  readonly timeout: number;
  readonly sharing: Sharing;
}

/** Two more than there are processors, as tests wait for timers, the disk or another process a third of their time. */
const CONCURRENCY = availableParallelism() + 2;

const RINGS: Readonly<Record<string, Ring>> = {
  unit: {
    globs: [
      'src/**/*.test.ts',
      'ui/src/**/*.test.ts',
      'test/*.test.ts',
      'test/{support,suites}/**/*.test.ts',
      'bench/**/*.test.ts',
      'scripts/*.test.ts',
    ],
    concurrency: CONCURRENCY,
    timeout: 60_000,
    sharing: 'neighbours',
  },
  integration: {
    globs: ['test/integration/**/*.test.ts'],
    concurrency: CONCURRENCY,
    timeout: 120_000,
    sharing: 'any',
  },
  // Container engines share kernel state (mounts, cgroups): one file at a time.
  e2e: { globs: ['test/e2e/**/*.test.ts'], concurrency: 1, timeout: 300_000, sharing: 'none' },
};

/** Options of Node that hold in each test process; others would silently do nothing there. */
const PASSED_ON = /^--test-(?:name-pattern|skip-pattern|timeout|only|update-snapshots)(?:=|$)/;

/** A process may take this many times what one of its tests may. */
const TESTS_OF_A_PROCESS = 4;

const USAGE = `usage: node scripts/test.ts <${Object.keys(RINGS).join('|')}>… [part of a path…] [--test-name-pattern=…]`;

const ROOT = fileURLToPath(new URL('..', import.meta.url));

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const rings = words.filter((word) => Object.hasOwn(RINGS, word)).map((word) => RINGS[word] as Ring);
  const passed = words.filter((word) => PASSED_ON.test(word));
  const filters = words.filter((word) => !Object.hasOwn(RINGS, word) && !word.startsWith('--'));
  const unknown = words.find((word) => word.startsWith('--') && !PASSED_ON.test(word));
  if (rings.length === 0 || unknown !== undefined) {
    console.error(unknown === undefined ? USAGE : `unknown option ${unknown}\n${USAGE}`);
    return 2;
  }

  const chosen = rings.flatMap((ring) => {
    const files = ring.globs.flatMap((glob) => globSync(glob, { cwd: ROOT }));
    const wanted = files.filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)));
    return [...new Set(wanted)].map((file) => ({ file, sharing: ring.sharing }));
  });
  if (chosen.length === 0) {
    console.error(filters.length > 0 ? `no test file's path contains ${filters.join(' or ')}` : 'no test files here');
    return 1;
  }

  if (chosen.some(({ sharing }) => sharing !== 'neighbours')) await bringProgramUpToDate();
  Object.assign(process.env, environment());
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-tests-'));
  const removeDirectory = (): void => rmSync(directory, { recursive: true, force: true });
  process.on('exit', removeDirectory);

  const processes = planProcesses(chosen, { root: ROOT, directory });
  const report = new TestReport({ root: ROOT, processes, output: process.stdout });
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      process.exitCode = 128 + constants.signals[signal];
      report.interrupted();
      // The abort sends SIGTERM to the test processes, on which they stop what they started.
      interrupt.abort();
      setTimeout(() => process.exit(), 500);
    });
  }

  const timeout = Math.max(...rings.map((ring) => ring.timeout));
  const events = run({
    files: processes.map(({ entry }) => entry),
    concurrency: Math.min(...rings.map((ring) => ring.concurrency)),
    execArgv: ['--disable-warning=ExperimentalWarning', `--test-timeout=${timeout}`, ...passed],
    timeout: timeout * TESTS_OF_A_PROCESS,
    signal: interrupt.signal,
    cwd: ROOT,
  });
  for await (const event of events) report.take(event);
  return interrupt.signal.aborted ? Number(process.exitCode) : report.end();
}

/**
 * The environment of the tests: without what would configure a server under test behind the test's back, and with a
 * compile cache that all their processes share, as most of a process start is reading and compiling TypeScript.
 *
 * What is said to the tests themselves begins with `TEST_`: a server under test would refuse an `ENTREPOT_` that is no option.
 *
 * Temporary files stay on the disk, though memory would be faster: tmpfs has no RWF_NOWAIT (preadv2(2)), by which the
 * server reads warm blobs, so that other code would be tested.
 */
function environment(): NodeJS.ProcessEnv {
  for (const name of Object.keys(process.env)) {
    const isHarmful = /^(?:ENTREPOT_|DEBUG$|PORT$|NODE_TEST_CONTEXT$)/.test(name) || /_proxy$/i.test(name);
    if (isHarmful) delete process.env[name];
  }
  return { NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? join(ROOT, 'node_modules/.cache/entrepot-tests') };
}

/** Bundles lib/ where src/ is newer: the tests that start servers start hundreds, each three times as fast from lib/. */
async function bringProgramUpToDate(): Promise<void> {
  const built = statSync(join(ROOT, 'lib/main.js'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = globSync('{src,ui/src}/**/*', { cwd: ROOT, exclude: (path) => path.endsWith('.test.ts') });
  if (sources.every((source) => statSync(join(ROOT, source)).mtimeMs <= built)) return;
  try {
    const { bundle } = await import('./bundle.ts');
    await bundle(join(ROOT, 'lib'));
  } catch (error) {
    // bin/entrepot then starts from src/.
    console.error(`lib/ was not built, so servers start more slowly: ${String(error)}`);
  }
}
