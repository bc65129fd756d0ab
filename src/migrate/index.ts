/**
 * Turns the configurations of other mirrors, registries and clients into one of this program.
 *
 * It is given the content of files: it never opens one, contacts no host, runs no program, and keeps nothing. It never drops
 * a setting without a word: each is carried over, or named with the reason and what to do instead.
 */
export { ImportError, type ImportedFile, migrate } from './migrate.ts';
