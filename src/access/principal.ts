/**
 * The identity behind a request. The kind is a type and not a name, so that no client gains rights by the name it gives. A token names
 * itself, a robot's own and a user's alike: whom it acts for and what it is narrowed to is looked up at each use. Workloads are a further
 * kind. `operator` has come by the control socket, directly or with a code of it, and may do everything that the API offers.
 */
export type Principal =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'user'; readonly name: string }
  | { readonly kind: 'token'; readonly name: string }
  | { readonly kind: 'operator' };

/** A principal that credentials stand for: it may change or go at any time. */
export type Holder = Exclude<Principal, { readonly kind: 'operator' }>;

/** A client that shows no credential. */
export const ANONYMOUS: Holder = { kind: 'anonymous' };

/** Who may use the control socket. */
export const OPERATOR_PRINCIPAL: Principal = { kind: 'operator' };

/** As rules, the log and messages show it. No user has a colon in the name. */
export function nameOf(principal: Principal): string {
  if (principal.kind === 'anonymous' || principal.kind === 'operator') return principal.kind;
  return principal.kind === 'token' ? `token:${principal.name}` : principal.name;
}
