/**
 * Text of any kind becomes documents: YAML, JSON, TOML, variables and command lines, each value with its place.
 *
 * It never knows what a program means by its options, and never quotes a text in a message: it may hold a password.
 */
export { looksLike } from './looks-like.ts';
export { readText } from './read-text.ts';
