/** As a rule can name it: see `who` in docs/access.md. */
const NAME = /^[^:@\s\p{Cc}][^:\s\p{Cc}]{0,127}$/u;
const RESERVED: ReadonlySet<string> = new Set(['anonymous']);

/** Why no user or token can have a name; undefined where it can. */
export function faultOfName(name: string, kind: 'user' | 'token'): string | undefined {
  if (!NAME.test(name)) return `the name of a ${kind} has 1 to 128 characters, no blanks or colons, and no @ in front`;
  if (RESERVED.has(name)) return `${name} stands for every client, and cannot be the name of a ${kind}; rename it`;
  return undefined;
}
