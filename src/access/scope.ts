import { ACTIONS, type AccessRequest, type Action } from './gate.ts';
import { compilePattern, covers, type Pattern } from './policy.ts';

/** What a token is narrowed to. It allows nothing by itself: the rules decide as well. */
export interface Scope {
  readonly may: ReadonlySet<Action>;
  /** Undefined: every repository that the rules allow. */
  readonly on: readonly Pattern[] | undefined;
}

/** A scope as it is stored; an action that this release does not know allows nothing. */
export function scopeOf({ may, on }: { readonly may: readonly string[]; readonly on: readonly string[] }): Scope {
  return {
    may: new Set(ACTIONS.filter((action) => may.includes(action))),
    on: on.length === 0 ? undefined : on.map(compilePattern),
  };
}

/** Whether a request is within a scope. */
export function isWithin({ may, on }: Scope, { action, repository }: Omit<AccessRequest, 'principal'>): boolean {
  return may.has(action) && (on === undefined || covers({ on }, action, repository));
}
