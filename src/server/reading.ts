import { OciError } from '../oci/index.ts';
import type { RequestContext } from './exchange/index.ts';

/** Methods that change something where they are allowed. */
const CHANGING: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/** The answer to a method that a door which only reads does not take, whether HTTP knows the method or not. */
export function methodRefused(method: string): OciError {
  if (CHANGING.has(method)) return writeRefused();
  return refused('the method is not supported: a mirror answers GET and HEAD');
}

/** The answer to a request that would change something, at a door that only reads. */
export function writeRefused(): OciError {
  return refused('this is a mirror: nothing can be pushed to it or deleted from it');
}

function refused(message: string): OciError {
  // The connection may hold a body that is not read.
  return new OciError('UNSUPPORTED', message, { headers: { allow: 'GET, HEAD', connection: 'close' } });
}

/** Lets through GET and HEAD without a body, by path; refuses the rest before a handler could forget to (CVE-2026-41888). */
export function requireReading({ isReading, method, path, hasBody }: RequestContext): void {
  if (!isReading) throw methodRefused(method);
  const refuse = (message: string): OciError =>
    new OciError('UNSUPPORTED', message, { status: 400, headers: { connection: 'close' } });
  if (hasBody) throw refuse(`${method} takes no body`);
  if (!path.startsWith('/')) {
    throw refuse('this is a registry mirror, not a forward proxy: ask it by path, as in /v2/');
  }
}
