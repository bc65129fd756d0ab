/**
 * Sessions of the page: begun with a password, a token or a code, shown by a cookie.
 *
 * It never decides what a principal may do, and it never keeps an id that a client shows.
 */
export { Codes } from './codes.ts';
export { readSessionId, writeSessionId } from './cookie.ts';
export { isTokenOf, type Session, Sessions } from './sessions.ts';
