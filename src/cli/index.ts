/**
 * The command line: words become a command, its options and an exit code.
 *
 * It writes to the terminal, and never holds a policy of its own: what a command does stands in the rooms below.
 */
export { run } from './program.ts';
