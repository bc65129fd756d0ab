import * as z from 'zod';
import { faultOfLook } from '../../lib/index.ts';
import { optionMeta } from './meta.ts';

/** Every client, in rules. */
const ANONYMOUS = 'anonymous';

/** Whether a name is `anonymous` in whatever case: no user can be called so. */
export function isAnonymous(name: string): boolean {
  return name.toLowerCase() === ANONYMOUS;
}

/** Two names that look the same must not be two users. */
function looksPlain(name: string): boolean {
  return faultOfLook(name) === undefined;
}

/** A user, `token:NAME`, `@group` or `anonymous` in a rule. Other words with a colon are reserved for further kinds of principals. */
export const principalName = z
  .string()
  .regex(/^(?:@|token:)?[^:@\s\p{Cc}][^:\s\p{Cc}]{0,127}$/u)
  .refine((name) => looksPlain(name) && (name === ANONYMOUS || !isAnonymous(name)))
  .register(optionMeta, {
    type: 'name',
    expected: 'the name of a user, token:NAME, @GROUP or anonymous; other names with a colon (workload:…) are reserved',
  });

export const groupName = z
  .string()
  .regex(/^[^:@\s\p{Cc}][^:\s\p{Cc}]{0,127}$/u)
  .refine(looksPlain)
  .register(optionMeta, {
    type: 'name',
    expected: 'the name of a group without @, blanks or colons',
  });

export const groupMember = z
  .string()
  .regex(/^(?:token:)?[^:@\s\p{Cc}][^:\s\p{Cc}]{0,127}$/u)
  .refine((name) => looksPlain(name) && !isAnonymous(name))
  .register(optionMeta, {
    type: 'name',
    expected:
      'the name of a user, or token:NAME; a rule names anonymous itself, and other names with a colon are reserved',
  });
