/**
 * The identity behind a request. The kind is a type and not a name, so that no client gains rights by the name it gives. A token names
 * itself, a robot's own and a user's alike: whom it acts for and what it is narrowed to is looked up at each use. Workloads are a further
 * kind.
 */
export type Principal =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'user'; readonly name: string }
  | { readonly kind: 'token'; readonly name: string };

/** A client that shows no credential. */
export const ANONYMOUS: Principal = { kind: 'anonymous' };

/** As rules, the log and messages show it. No user has a colon in the name. */
export function nameOf(principal: Principal): string {
  if (principal.kind === 'anonymous') return 'anonymous';
  return principal.kind === 'token' ? `token:${principal.name}` : principal.name;
}
