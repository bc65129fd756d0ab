/**
 * The identity behind a request. The kind is a type and not a name, so that no client gains rights by the name it gives.
 * Tokens and workloads are further kinds.
 */
export type Principal = { readonly kind: 'anonymous' } | { readonly kind: 'user'; readonly name: string };

/** A client that shows no credential. */
export const ANONYMOUS: Principal = { kind: 'anonymous' };

/** As the log and messages show it. */
export function nameOf(principal: Principal): string {
  return principal.kind === 'anonymous' ? 'anonymous' : principal.name;
}
