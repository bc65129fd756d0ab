import { join } from 'node:path';

/** The file of the observed requests in a cache directory. */
export function observationFile(directory: string): string {
  return join(directory, 'observations.db');
}
