/**
 * Who asks. The kind is a type and not a name, so that nobody becomes somebody by calling themselves so.
 *
 * Every request carries one from the first day; users and tokens add kinds here, and nothing else changes shape.
 */
export type Principal = { readonly kind: 'anonymous' };

/** Whoever shows no credential. */
export const ANONYMOUS: Principal = { kind: 'anonymous' };
