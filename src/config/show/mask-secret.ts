import { configSchema, redactValue } from '../schema/index.ts';
import type { Path, Scalar } from '../tree.ts';

/** The value of an option as a terminal may show it: a secret is replaced, another value is as it is. */
export function maskSecret(path: Path, value: Scalar): unknown {
  return redactValue(configSchema, path, value);
}
