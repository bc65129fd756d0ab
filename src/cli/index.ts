/**
 * The command line: arguments become a command, its options and an exit code.
 *
 * It writes to the terminal, and never holds policy: the rooms below do.
 */
export { run } from './program.ts';
