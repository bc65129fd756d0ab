import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunError, RunOutcome, RunRecord } from './schedule.ts';

/** What became of the last run of each schedule, by its name. */
export interface RecordFile {
  readonly records: ReadonlyMap<string, RunRecord>;
  /** Replaces all of it. @throws {Error} where the disk refuses */
  save(records: ReadonlyMap<string, RunRecord>): Promise<void>;
}

/** The file of the last runs in a cache directory. */
export function scheduleFile(directory: string): string {
  return join(directory, 'schedules.json');
}

/** 128 schedules with five errors of a thousand characters each are less, also where each character takes six bytes. */
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_RECORDS = 1000;

const OUTCOMES: readonly unknown[] = ['done', 'failed', 'stopped', 'interrupted'] satisfies RunOutcome[];

/**
 * Opens the file, which may be lost: then no schedule has run yet.
 *
 * @param onDamage is told where it cannot be read, and is begun again
 */
export async function openRecordFile(path: string, onDamage: (error: unknown) => void): Promise<RecordFile> {
  let records: ReadonlyMap<string, RunRecord> = new Map();
  try {
    records = parse(await readBounded(path));
  } catch (error) {
    if (!isMissing(error)) onDamage(error);
  }
  return { records, save: (current) => write(path, current) };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

async function readBounded(path: string): Promise<string> {
  await using handle = await open(path, 'r');
  const { size } = await handle.stat();
  if (size > MAX_BYTES) throw new RangeError(`it has ${size} bytes, and at most ${MAX_BYTES} are read`);
  return await handle.readFile('utf8');
}

async function write(path: string, records: ReadonlyMap<string, RunRecord>): Promise<void> {
  const draft = `${path}.${randomBytes(8).toString('hex')}.new`;
  try {
    // Not flushed: it may be lost, and a disk that is busy with blobs is not made to wait for it.
    await using handle = await open(draft, 'wx', 0o600);
    await handle.writeFile(`${JSON.stringify({ format: 1, schedules: Object.fromEntries(records) })}\n`);
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** @throws {Error} where the text is not that of such a file */
function parse(text: string): ReadonlyMap<string, RunRecord> {
  const value: unknown = JSON.parse(text);
  if (!isMap(value) || value['format'] !== 1 || !isMap(value['schedules']))
    throw new TypeError('it is in no known format');
  const entries = Object.entries(value['schedules']).slice(0, MAX_RECORDS);
  return new Map(
    entries.flatMap(([name, each]) => {
      const record = recordOf(each);
      return record === undefined ? [] : [[name, record]];
    }),
  );
}

function recordOf(value: unknown): RunRecord | undefined {
  if (!isMap(value)) return undefined;
  const { startedAt, endedAt, outcome, by, done, failed, fetched, sent, errors, failing } = value;
  const numbers = [startedAt, done, failed, fetched];
  if (!numbers.every(Number.isFinite) || typeof by !== 'string' || !Array.isArray(errors)) return undefined;
  if (outcome !== undefined && !OUTCOMES.includes(outcome)) return undefined;
  return {
    startedAt: startedAt as number,
    ...(Number.isFinite(endedAt) && { endedAt: endedAt as number }),
    ...(outcome !== undefined && { outcome: outcome as RunOutcome }),
    by,
    done: done as number,
    failed: failed as number,
    fetched: fetched as number,
    ...(Number.isFinite(sent) && { sent: sent as number }),
    errors: errors.filter(isError),
    failing: failing === true,
  };
}

function isError(value: unknown): value is RunError {
  return isMap(value) && typeof value['image'] === 'string' && typeof value['error'] === 'string';
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
