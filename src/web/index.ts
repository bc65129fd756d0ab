/**
 * Pages for people: the help page, and the same as JSON for programs; and the files of the console's page.
 *
 * It never changes anything, and no page holds data that its reader might not see.
 */
export { serverAddressOf } from './address.ts';
export { type ConsoleReply, type ConsoleRequest, replyConsole } from './console.ts';
export { describeHelp, type HelpOptions, type HelpRequest, wantsPage } from './help.ts';
