/**
 * Runs test rings: `node scripts/test.ts unit integration [filter…]`.
 *
 * The globs are named here because `node --test` on its own would also run everything under test/. A filter is a part
 * of a file's path; options beginning with `--test-` go to the runner as they are (`--test-name-pattern=resume`).
 */
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

interface Ring {
  readonly globs: readonly string[];
  /** Files run at the same time. */
  readonly concurrency: number;
  /** One test may take this long, in milliseconds: a bound for what hangs, not an expectation. */
  readonly timeout: number;
}

const RINGS: Readonly<Record<string, Ring>> = {
  unit: {
    globs: ['src/**/*.test.ts', 'test/*.test.ts', 'test/{support,suites}/**/*.test.ts', 'bench/**/*.test.ts'],
    concurrency: availableParallelism(),
    timeout: 60_000,
  },
  integration: { globs: ['test/integration/**/*.test.ts'], concurrency: availableParallelism(), timeout: 120_000 },
  // Container engines share kernel state (mounts, cgroups): one file at a time.
  e2e: { globs: ['test/e2e/**/*.test.ts'], concurrency: 1, timeout: 300_000 },
};

const USAGE = `usage: node scripts/test.ts <${Object.keys(RINGS).join('|')}>… [part of a path…] [--test-…=…]`;

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const rings = words.filter((word) => Object.hasOwn(RINGS, word)).map((word) => RINGS[word] as Ring);
  const passed = words.filter((word) => word.startsWith('--test-'));
  const filters = words.filter((word) => !Object.hasOwn(RINGS, word) && !word.startsWith('--'));
  const unknown = words.filter((word) => word.startsWith('--') && !word.startsWith('--test-'));
  if (rings.length === 0 || unknown.length > 0) {
    console.error(unknown.length > 0 ? `unknown option ${unknown[0]}\n${USAGE}` : USAGE);
    return 2;
  }

  const root = fileURLToPath(new URL('..', import.meta.url));
  const all = rings.flatMap((ring) => ring.globs.flatMap((glob) => globSync(glob, { cwd: root })));
  const files = [...new Set(all)]
    .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)))
    .sort();
  if (files.length === 0) {
    console.error(filters.length > 0 ? `no test file's path contains ${filters.join(' or ')}` : 'no test files here');
    return 1;
  }

  return await run(
    [
      '--disable-warning=ExperimentalWarning',
      '--test',
      `--test-concurrency=${Math.min(...rings.map((ring) => ring.concurrency))}`,
      `--test-timeout=${Math.max(...rings.map((ring) => ring.timeout))}`,
      ...passed,
      ...files,
    ],
    root,
  );
}

/** Runs the pinned Node with these arguments; an interrupt goes to it first, so that tests can clean up. */
function run(args: readonly string[], cwd: string): Promise<number> {
  const child = spawn(process.execPath, args, { cwd, stdio: 'inherit', env: quietEnvironment() });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** The environment without what would configure a server under test behind the test's back. */
function quietEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:ENTREPOT_(?!TEST_)|DEBUG$|PORT$|NODE_TEST_CONTEXT$)/.test(name) && !/_proxy$/i.test(name),
  );
  return Object.fromEntries(kept);
}
