/**
 * Pages for people: the help page, and the same as JSON for programs.
 *
 * It never changes anything.
 */
export { serverAddressOf } from './address.ts';
export { describeHelp, type HelpOptions, type HelpRequest } from './help.ts';
