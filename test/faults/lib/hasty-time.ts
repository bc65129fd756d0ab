import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * A moment by a clock that runs faster, from its epoch on; earlier moments are as they are.
 *
 * @param setting `EPOCH*FACTOR`, the epoch in milliseconds since 1970
 * @param at milliseconds since 1970
 */
export function hastyTime(setting: string, at: number): number {
  const [epoch = 0, factor = 1] = setting.split('*').map(Number);
  return Math.round(at <= epoch ? at : epoch + (at - epoch) * factor);
}

/** The environment of a server with such a clock. */
export function hastyEnvironment(setting: string): NodeJS.ProcessEnv {
  const hook = pathToFileURL(join(import.meta.dirname, 'hasty-clock.ts')).href;
  return { NODE_OPTIONS: `--import ${hook}`, FAULTS_HASTE: setting };
}
