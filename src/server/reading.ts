import { OciError } from '../oci/index.ts';
import type { RequestContext } from './exchange/index.ts';

/** The answer to what would change something at a door that only reads. */
export function writeRefused(): OciError {
  // The connection may hold a body that is not read.
  return new OciError('UNSUPPORTED', 'this is a mirror: nothing can be pushed to it or deleted from it', {
    headers: { allow: 'GET, HEAD', connection: 'close' },
  });
}

/** Lets through GET and HEAD without a body, by path; refuses the rest before a handler could forget to (CVE-2026-41888). */
export function requireReading({ method, path, request }: RequestContext): void {
  if (method !== 'GET' && method !== 'HEAD') {
    throw writeRefused();
  }
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  if ((length !== undefined && length !== '0') || encoding !== undefined) {
    throw new OciError('UNSUPPORTED', `${method} takes no body`, { status: 400, headers: { connection: 'close' } });
  }
  if (!path.startsWith('/')) {
    throw new OciError('UNSUPPORTED', 'this is a registry mirror, not a forward proxy: ask it by path, as in /v2/', {
      status: 400,
      headers: { connection: 'close' },
    });
  }
}
