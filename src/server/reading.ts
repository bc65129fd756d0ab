import { OciError } from '../oci/index.ts';
import { hasBody, type RequestContext } from './exchange/index.ts';

/** The answer to a request that would change something, at a door that only reads. */
export function writeRefused(): OciError {
  // The connection may hold a body that is not read.
  return new OciError('UNSUPPORTED', 'this is a mirror: nothing can be pushed to it or deleted from it', {
    headers: { allow: 'GET, HEAD', connection: 'close' },
  });
}

/** Lets through GET and HEAD without a body, by path; refuses the rest before a handler could forget to (CVE-2026-41888). */
export function requireReading({ isReading, method, path, request }: RequestContext): void {
  if (!isReading) throw writeRefused();
  const refuse = (message: string): OciError =>
    new OciError('UNSUPPORTED', message, { status: 400, headers: { connection: 'close' } });
  if (hasBody(request)) throw refuse(`${method} takes no body`);
  if (!path.startsWith('/')) {
    throw refuse('this is a registry mirror, not a forward proxy: ask it by path, as in /v2/');
  }
}
