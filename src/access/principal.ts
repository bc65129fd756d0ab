/**
 * The identity behind a request. The kind is a type and not a name, so that no client gains rights by the name it gives.
 * Users and tokens are further kinds.
 */
export type Principal = { readonly kind: 'anonymous' };

/** A client that shows no credential. */
export const ANONYMOUS: Principal = { kind: 'anonymous' };
