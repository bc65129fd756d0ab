import { join } from 'node:path';

/** The file of the recorded pulls in a cache directory. */
export function pullFile(directory: string): string {
  return join(directory, 'pulls.db');
}

/** It, what SQLite keeps beside it, and the damaged one that was set aside: all that tells who pulled. */
export function filesOfPulls(file: string): readonly string[] {
  return [file, ...['-wal', '-shm', '-journal', '.corrupt'].map((suffix) => `${file}${suffix}`)];
}
