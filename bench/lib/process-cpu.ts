import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/** Clock ticks per second in /proc: USER_HZ, which Linux keeps at 100 for programs whatever the kernel's own is. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
}

/**
 * CPU seconds, user and system, that a process has used so far: all its threads, its children, and those that have ended
 * and were waited for. Good to 10 ms.
 */
export async function cpuSeconds(pid: number): Promise<number> {
  const all = await readStats();
  const family = new Set([pid]);
  // Children have higher numbers than parents only until the numbers wrap: repeat until nothing is added.
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const stat of all) if (family.has(stat.parent)) family.add(stat.pid);
  }
  const ticks = all.filter((stat) => family.has(stat.pid)).reduce((sum, stat) => sum + stat.ticks, 0);
  return ticks / TICKS_PER_SECOND;
}

/**
 * Waits until a process does nothing for a fifth of a second, so that what it finishes after the answer (storing,
 * indexing) is counted too. Gives up after ten seconds.
 */
export async function untilIdle(pid: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  let last = await cpuSeconds(pid);
  for (let quiet = 0; quiet < 4 && Date.now() < deadline; ) {
    await sleep(50);
    const now = await cpuSeconds(pid);
    quiet = now === last ? quiet + 1 : 0;
    last = now;
  }
}

/** Runs something and returns the CPU seconds a process used for it, to the last of what it left for later. */
export async function cpuOf<T>(pid: number, work: () => Promise<T>): Promise<{ cpu: number; result: T }> {
  await untilIdle(pid);
  const before = await cpuSeconds(pid);
  const result = await work();
  await untilIdle(pid);
  return { cpu: (await cpuSeconds(pid)) - before, result };
}

async function readStats(): Promise<readonly Stat[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map(readStat));
  return stats.filter((stat) => stat !== undefined);
}

/** proc(5), /proc/pid/stat. The second field is the program's name in parentheses and may hold anything. */
async function readStat(pid: string): Promise<Stat | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // From state, the third field of the manual, at 0: ppid 1, utime 11, stime 12, cutime 13, cstime 14.
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { pid: Number(pid), parent: Number(fields[1]), ticks };
  } catch {
    // It ended between the listing and the look.
    return undefined;
  }
}
