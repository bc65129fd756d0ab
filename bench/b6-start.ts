import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, readIfThere } from '../test/support/processes.ts';
import type { Figure } from './lib/figures.ts';
import { fillCache } from './lib/full-cache.ts';
import { checkManifest } from './lib/origin.ts';
import type { Bench, Stage } from './lib/stage.ts';
import { entrepotCommand } from './lib/subjects.ts';

const STARTS = 5;
const GIVE_UP = 20_000;

/**
 * Milliseconds from the command to the first answer, which is a manifest out of the cache: with next to nothing in it, and
 * with very many blobs. Starting must not read what is stored.
 */
export const start: Bench = {
  id: 'B6',
  title: 'start to the first answer',
  async measure(stage) {
    const { settings, origin, workspace, progress } = stage;
    const { image, path } = await origin.addImage();
    const dir = workspace.path('cache');
    progress('filling the compile cache');
    await startOnce(stage, { dir, path, check: (url) => checkManifest(url, image) });
    const few = await startOften(stage, { dir, path, label: 'small cache' });
    progress(`storing ${settings.blobs.toLocaleString('en')} blobs`);
    fillCache(dir, settings.blobs);
    // The first one finds a cold page cache and says more about the disk than about the program.
    await startOnce(stage, { dir, path });
    const many = await startOften(stage, { dir, path, label: 'full cache' });
    const common = { bench: 'B6', subject: 'entrepot', unit: 'ms', goals: [{ bound: 'at most', value: 300 }] } as const;
    const note = 'compile cache warm; any core';
    return [
      { ...common, work: 'start, few blobs', samples: few, note },
      { ...common, work: `start, ${settings.blobs.toLocaleString('en')} blobs`, samples: many, note },
    ] satisfies readonly Figure[];
  },
};

interface StartOptions {
  readonly dir: string;
  /** What is asked for first. */
  readonly path: string;
  readonly check?: (url: string) => Promise<void>;
}

async function startOften(stage: Stage, { label, ...options }: StartOptions & { label: string }): Promise<number[]> {
  const samples: number[] = [];
  for (let run = 1; run <= STARTS; run++) {
    stage.progress(`start ${run} of ${STARTS}, ${label}`);
    samples.push(await startOnce(stage, options));
  }
  return samples;
}

/** Starts, asks until answered, stops; milliseconds until the answer. */
async function startOnce(stage: Stage, { dir, path, check }: StartOptions): Promise<number> {
  const { workspace, origin, cores } = stage;
  const port = await freePort();
  const { command, url, env } = await entrepotCommand(workspace, { upstream: origin.url, dir, port });
  const log = workspace.path(`${port}.log`);
  // All cores, as a user has them. Standard output to a file, as under a supervisor.
  const anyCore = cores === undefined ? [] : ['taskset', '--cpu-list', `${cores.client},${cores.server}`];
  const whole = [...anyCore, 'sh', '-c', 'log=$1; shift; exec "$@" >"$log" 2>&1', 'sh', log, ...command];
  const began = performance.now();
  const running = await workspace.start(whole, { env, ready: () => true });
  let tookMs: number | undefined;
  try {
    while (tookMs === undefined) {
      if (await answers(port, path)) tookMs = performance.now() - began;
      else if (performance.now() - began > GIVE_UP) {
        throw new Error(`entrepot did not answer within ${GIVE_UP} ms:\n${(await readIfThere(log)).slice(-2000)}`);
      } else await sleep(2);
    }
    await check?.(`${url}${path}`);
  } finally {
    await running.stop();
  }
  return tookMs;
}

/** True for a 200; false for a refused connection or another answer. A bare socket: it is to cost nothing. */
function answers(port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.setTimeout(GIVE_UP, () => socket.destroy());
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
    socket.on('data', (bytes) => {
      resolve(bytes.toString('latin1', 0, 13) === 'HTTP/1.1 200 ');
      socket.destroy();
    });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: */*\r\nConnection: close\r\n\r\n`);
  });
}
