import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHandler } from '../exchange/index.ts';
import { clientInfoOf } from '../exchange/index.ts';
import { refusal } from './refuse.ts';

// A host name, an IPv4 address or a bracketed IPv6 one, with or without a port: what may be repeated in a header.
const HOST = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/i;

/**
 * Where a plain request is sent on to: the same path over HTTPS, at the public URL where there is one, else at the same
 * host without its port. Undefined where the request names no host that could be meant.
 */
export function httpsLocation(
  target: string,
  host: string | undefined,
  publicUrl: string | undefined,
): string | undefined {
  // An absolute-form target names its own host; only its path is of interest.
  const path = /^[a-z]+:\/\/[^/?#]*(.*)$/i.exec(target)?.[1] ?? target;
  const suffix = path.startsWith('/') ? path : `/${path}`;
  if (publicUrl?.startsWith('https://')) return publicUrl.replace(/\/+$/, '') + suffix;
  const name = host === undefined ? undefined : HOST.exec(host)?.[1];
  return name === undefined ? undefined : `https://${name}${suffix}`;
}

/**
 * Answers every request with 308: the method is kept, and a client may remember it. One that came by HTTPS to a trusted
 * server in front is where it should be, and goes on to `handler`.
 */
export function redirectToHttps(publicUrl: string | undefined, handler: RequestHandler): RequestHandler {
  return (request: IncomingMessage, response: ServerResponse) => {
    const { scheme, host } = clientInfoOf(request);
    if (scheme === 'https') return handler(request, response);
    const location = httpsLocation(request.url ?? '/', host, publicUrl);
    if (location === undefined) {
      const error = refusal('UNSUPPORTED', 400, 'the Host header names no host');
      response.writeHead(400, { 'content-type': 'application/json' }).end(error.toBody());
      return;
    }
    response.writeHead(308, { location, 'content-length': '0' }).end();
  };
}
