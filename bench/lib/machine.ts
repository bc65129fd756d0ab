import { accessSync, constants, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { run } from '../../test/support/processes.ts';
import { sha256SecondsPerGiB } from './sha256-speed.ts';

/** What the figures were measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** Instructions for SHA-256 (SHA-NI, or those of ARMv8). Without them hashing costs several times as much. */
  readonly shaInstructions: boolean;
  /** CPU seconds for SHA-256 of a GiB, on one core, in this Node. */
  readonly sha256SecondsPerGiB: number;
  /** Processes that wanted to run in the last minute, before the bench began. */
  readonly load: number;
}

export const GiB = 2 ** 30;

/** Looks at the machine, and hashes for a second or so. To be asked before the cores are separated. */
export function describeMachine(): Machine {
  const load = loadavg()[0] ?? 0;
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round((totalmem() / GiB) * 10) / 10,
    kernel: readFileSync('/proc/version', 'utf8').split(' ').slice(0, 3).join(' '),
    node: process.version,
    shaInstructions: /\b(sha_ni|sha2)\b/.test(readFileSync('/proc/cpuinfo', 'utf8')),
    sha256SecondsPerGiB: sha256SecondsPerGiB(GiB / 2),
    load,
  };
}

/** Which core the clients run on, and which the server; undefined where they cannot be kept apart. */
export interface Cores {
  readonly client: number;
  readonly server: number;
}

/**
 * Puts this process, and what it starts, on one core, and says which is left for the server. Undefined where the machine
 * has one core, or no taskset.
 */
export async function separateCores(): Promise<Cores | undefined> {
  const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  const cores = parseCoreList(allowed);
  const [client] = cores;
  const server = cores.at(-1);
  if (!isInstalled('taskset') || client === undefined || server === undefined || client === server) return undefined;
  const { code } = await run(['taskset', '--all-tasks', '--cpu-list', '--pid', String(client), String(process.pid)]);
  return code === 0 ? { client, server } : undefined;
}

/** `0-2,5` as numbers (cpuset(7), list format). */
export function parseCoreList(list: string): number[] {
  return list
    .split(',')
    .filter((part) => /^\d+(-\d+)?$/.test(part))
    .flatMap((part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

/** True where a program is in the PATH or in a folder for system programs. */
export function isInstalled(program: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
