import type { ConfigError } from '../config/index.ts';
import { count } from './format.ts';
import type { Output } from './output.ts';

/** Writes all problems of a configuration, one to a line, and their number. */
export function reportConfigError({ problems, message }: ConfigError, output: Output): void {
  output.err(`${message}\nThe configuration has ${count(problems.length, 'problem')}.\n`);
}
