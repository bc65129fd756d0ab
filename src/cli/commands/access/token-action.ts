/** The actions that a token can be narrowed to, as rules have them. */
export const TOKEN_ACTIONS = ['pull', 'catalog', 'push', 'delete', 'status', 'admin', 'proxy'] as const;
export type TokenAction = (typeof TOKEN_ACTIONS)[number];
