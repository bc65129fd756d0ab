/**
 * Measures entrepot beside docker-registry, nginx and squid, in one run on one machine: `npm run bench`.
 *
 * What the figures mean, and what to do about them, is in docs/performance.md. Nothing leaves the machine.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { check } from '../test/support/processes.ts';
import { warmBlob } from './b1-warm-blob.ts';
import { warmManifest } from './b2-warm-manifest.ts';
import { coldBlob } from './b3-cold-blob.ts';
import { herd } from './b4-herd.ts';
import { manyClients } from './b5-many-clients.ts';
import { start } from './b6-start.ts';
import { growth } from './b7-growth.ts';
import { tunnel } from './b8-tunnel.ts';
import { mirrorRoute } from './b9-mirror-route.ts';
import { fragmented } from './b10-fragmented.ts';
import { accessRules } from './b11-access.ts';
import { wholeImage } from './b12-whole-image.ts';
import { push } from './b13-push.ts';
import { recording } from './b14-recording.ts';
import { bundles } from './b15-export.ts';
import { segments } from './b16-segments.ts';
import { tlsBlob } from './b17-tls-blob.ts';
import type { Figure } from './lib/figures.ts';
import { describeMachine, separateCores } from './lib/machine.ts';
import { type BenchOptions, readOptions, USAGE } from './lib/options.ts';
import { describeRun, groupByWork, type RunDescription, writeReport } from './lib/report.ts';
import { type Bench, perform } from './lib/stage.ts';
import { missingPrograms } from './lib/subjects.ts';
import { drawTable } from './lib/table.ts';

const BENCHES: readonly Bench[] = [
  warmBlob,
  warmManifest,
  coldBlob,
  herd,
  manyClients,
  start,
  growth,
  tunnel,
  mirrorRoute,
  fragmented,
  accessRules,
  wholeImage,
  push,
  recording,
  bundles,
  segments,
  tlsBlob,
];

const ROOT = fileURLToPath(new URL('..', import.meta.url));

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options: BenchOptions;
  try {
    options = readOptions(
      args,
      BENCHES.map(({ id }) => id),
    );
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  if (process.platform !== 'linux') {
    console.error('The bench reads CPU times from /proc, which only Linux has.');
    return 2;
  }

  // As it is installed: from src/ a start takes longer, and the compiler of types stays in memory.
  for (const checkout of [ROOT, ...(options.beside === undefined ? [] : [options.beside])]) await build(checkout);

  const startedAt = new Date();
  const { ids, json, unpinned, ...settings } = options;
  const chosen = BENCHES.filter(({ id }) => ids.length === 0 || ids.includes(id));
  const machine = describeMachine();
  const cores = unpinned ? undefined : await separateCores();
  const missing = missingPrograms();
  console.log(`${describeRun({ startedAt, machine, cores, settings, missing, complete: false })}\n`);

  const figures: Figure[] = [];
  let isOver = false;
  // An interrupted run still says what it found; the workspace sees to everything that was started.
  process.on('exit', () => {
    if (!isOver && figures.length > 0) console.log(`\nInterrupted. So far:\n${drawTable(groupByWork(figures))}`);
  });
  const failures: string[] = [];
  for (const bench of chosen) {
    try {
      figures.push(...(await perform(bench, { settings, machine, cores, progress })));
    } catch (error) {
      failures.push(`${bench.id} failed: ${describe(error)}`);
    }
    clearProgress();
  }
  isOver = true;

  const run: RunDescription = { startedAt, machine, cores, settings, missing, complete: failures.length === 0 };
  const grouped = groupByWork(figures);
  if (grouped.length > 0) console.log(drawTable(grouped));
  for (const failure of failures) console.error(`\n${failure}`);
  const name = `${startedAt.toISOString().replace(/[:.]/g, '-')}.json`;
  const file = json ?? join(ROOT, '.bench', name);
  await writeReport(file, run, grouped);
  const seconds = Math.round((Date.now() - startedAt.getTime()) / 1000);
  console.log(`\n${seconds} s; every sample is in ${json ?? `.bench/${name}`}`);
  return failures.length === 0 ? 0 : 1;
}

/** Builds the program of a checkout. */
async function build(checkout: string): Promise<void> {
  await check(['sh', join(checkout, 'bin', 'pinned-node'), join(checkout, 'scripts', 'bundle.ts')]);
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}\n  (${error.cause.message})` : error.message;
}

/** One line that changes on a terminal, a line each elsewhere. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else process.stderr.write(`${text}\n`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}
