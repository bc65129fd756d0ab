import type { ConfigError } from '../config/index.ts';
import type { Output } from './output.ts';

/** Writes all problems of a configuration, one to a line, and how many there are. */
export function reportConfigError({ problems, message }: ConfigError, output: Output): void {
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  output.err(`${message}\nThe configuration has ${count}.\n`);
}
