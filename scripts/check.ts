/**
 * The one command before a commit: `npm run check`.
 *
 * Every step runs even when an earlier one failed, so that one run tells everything. `--skip NAME` leaves a step out
 * (CI runs the tests as a step of their own) and the table says so.
 */
import { spawn } from 'node:child_process';
import { delimiter, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Step {
  readonly name: string;
  /** What the step finds, for the table. */
  readonly about: string;
  readonly command: readonly string[];
  /** How to make it right, where a command can. */
  readonly remedy?: string;
}

const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];

const STEPS: readonly Step[] = [
  { name: 'format', about: 'Biome', command: tool('biome', 'check'), remedy: 'npm run format' },
  { name: 'lint', about: 'oxlint, with types', command: tool('oxlint') },
  { name: 'types', about: 'TypeScript, strict', command: tool('tsc') },
  { name: 'page', about: 'TypeScript of the page', command: tool('tsc', '-p', 'ui') },
  { name: 'tests', about: 'unit, integration', command: [...NODE, 'scripts/test.ts', 'unit', 'integration'] },
  {
    name: 'lock',
    about: 'every platform is in package-lock.json',
    command: [...NODE, 'scripts/complete-lock.ts', '--check'],
    remedy: 'npm run lock',
  },
  {
    name: 'generated',
    about: 'schema and pages are current',
    command: [...NODE, 'scripts/generate.ts', '--check'],
    remedy: 'npm run generate',
  },
];

interface Outcome {
  readonly step: Step;
  readonly result: 'ok' | 'FAILED' | 'skipped';
  readonly seconds: number;
}

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const skipped = new Set<string>();
  for (let i = 0; i < args.length; i += 2) {
    const name = args[i + 1];
    if (args[i] !== '--skip' || !STEPS.some((step) => step.name === name)) {
      console.error(`usage: node scripts/check.ts [--skip ${STEPS.map((step) => step.name).join('|')}]…`);
      return 2;
    }
    skipped.add(name as string);
  }

  const outcomes: Outcome[] = [];
  for (const step of STEPS) {
    if (skipped.has(step.name)) {
      outcomes.push({ step, result: 'skipped', seconds: 0 });
      continue;
    }
    console.log(`\n── ${step.name}: ${step.about}`);
    const started = performance.now();
    const code = await run(step.command);
    outcomes.push({ step, result: code === 0 ? 'ok' : 'FAILED', seconds: (performance.now() - started) / 1000 });
  }

  console.log(`\n${outcomes.map(row).join('\n')}`);
  return outcomes.some((outcome) => outcome.result === 'FAILED') ? 1 : 0;
}

function row({ step, result, seconds }: Outcome): string {
  const time = result === 'skipped' ? '' : `${seconds.toFixed(1)} s`;
  const remedy = result === 'FAILED' && step.remedy !== undefined ? `  → ${step.remedy}` : '';
  return `${step.name.padEnd(10)} ${result.padEnd(8)} ${time.padStart(8)}  ${step.about}${remedy}`;
}

function run([program, ...args]: readonly string[]): Promise<number> {
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  // The tools say `#!/usr/bin/env node`: let that be the pinned one, also where this was not started through npm.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}` };
  const child = spawn(program as string, args, { cwd, env, stdio: 'inherit' });
  return new Promise((resolve) => {
    child.on('error', (error) => {
      console.error(`${program} could not be started: ${error.message}. Run npm ci first.`);
      resolve(1);
    });
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

/** A development tool from node_modules, by path: it must not depend on how this script was started. */
function tool(name: string, ...args: string[]): string[] {
  return [fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url)), ...args];
}
