import { faultOfLook } from '../lib/index.ts';

/** As a rule can name it: see `who` in docs/access.md. */
const NAME = /^[^:@\s\p{Cc}][^:\s\p{Cc}]{0,127}$/u;
/** In any case: a rule for `Anonymous` would be read as one for every client. */
const RESERVED: ReadonlySet<string> = new Set(['anonymous']);

/** Why no user or token can have a name; undefined where it can. */
export function faultOfName(name: string, kind: 'user' | 'token'): string | undefined {
  if (!NAME.test(name)) return `the name of a ${kind} has 1 to 128 characters, no blanks or colons, and no @ in front`;
  const fault = faultOfLook(name);
  if (fault !== undefined) return `the name cannot be that of a ${kind}: ${fault}`;
  if (RESERVED.has(name.toLowerCase()))
    return `${name} stands for every client, and cannot be the name of a ${kind}; rename it`;
  return undefined;
}
