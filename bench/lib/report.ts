import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Figure, figureOf, judge, ratioTo } from './figures.ts';
import type { Cores, Machine } from './machine.ts';
import type { Settings } from './stage.ts';
import { median, spread } from './statistics.ts';

/** What a run says about itself, for comparing it with another. */
export interface RunDescription {
  readonly startedAt: Date;
  readonly machine: Machine;
  readonly cores: Cores | undefined;
  readonly settings: Settings;
  readonly missing: readonly string[];
  /** False where the run was interrupted, or a bench failed. */
  readonly complete: boolean;
}

/** Figures in their first order, those of the same work side by side. */
export function groupByWork(figures: readonly Figure[]): readonly Figure[] {
  return [...Map.groupBy(figures, ({ bench, work }) => `${bench} ${work}`).values()].flat();
}

/** The heading of the table: what was measured on what, and what to make of it. */
export function describeRun({ machine, cores, missing, settings }: RunDescription): string {
  const { cpu, memoryGiB, kernel, node, shaInstructions, sha256SecondsPerGiB } = machine;
  const lines = [
    `${cpu}, ${machine.cores} cores, ${memoryGiB} GiB, ${kernel}, Node ${node.slice(1)}`,
    `SHA-256 costs ${sha256SecondsPerGiB.toFixed(2)} s/GiB here (${shaInstructions ? 'with' : 'without'} SHA instructions)`,
    cores === undefined
      ? 'clients and servers share the cores: figures per core are not to be trusted'
      : `clients on core ${cores.client}, the server on core ${cores.server}; median of ${settings.runs} runs`,
    'cold blobs: a throw-away file warms the page cache before each of them',
    ...missing.map((program) => `not installed: ${program}`),
    ...(machine.load > 0.5
      ? [`other work was running (load ${machine.load.toFixed(1)}): do not compare this run`]
      : []),
  ];
  return lines.join('\n');
}

/** Writes everything as JSON: each sample, each ratio, each verdict. */
export async function writeReport(file: string, run: RunDescription, figures: readonly Figure[]): Promise<void> {
  const report = {
    ...run,
    commit: currentCommit(),
    figures: figures.map((figure) => ({
      ...figure,
      median: median(figure.samples),
      spread: spread(figure.samples),
      timesNginx: ratioTo('nginx', figure, figures),
      timesDistribution: ratioTo('distribution', figure, figures),
      timesRegistry: ratioTo('docker-registry', figure, figures),
      timesSquid: ratioTo('squid', figure, figures),
      nginx: figureOf('nginx', figure, figures)?.subject,
      verdicts: judge(figure, figures),
    })),
  };
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
}

function currentCommit(): string | undefined {
  try {
    const cwd = fileURLToPath(new URL('../..', import.meta.url));
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    // A package has no history.
    return undefined;
  }
}
