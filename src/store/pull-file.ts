import { join } from 'node:path';

/** The file of the recorded pulls in a cache directory. */
export function pullFile(directory: string): string {
  return join(directory, 'pulls.db');
}
