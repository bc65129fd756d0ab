import type { IncomingMessage, ServerResponse } from 'node:http';
import { OciError } from '../../oci/index.ts';
import { clientInfoOf, type RequestHandler } from '../exchange/index.ts';
import type { PublicUrls } from '../public-url.ts';

/** A host name, an IPv4 address or a bracketed IPv6 one, with or without a port: safe to repeat in a header. */
const HOST = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/i;

interface RedirectOptions {
  /** @default none */
  readonly publicUrls?: PublicUrls | undefined;
  /** The port of this server's HTTPS listener; undefined where a proxy in front speaks HTTPS, on the usual port. */
  readonly port?: number | undefined;
}

/**
 * The HTTPS URL of a plain request: the same path at the public HTTPS URL of the same name, or the first, else at the same host
 * with the port of the HTTPS listener. Undefined where the request names no usable host.
 */
function httpsLocation(
  target: string,
  host: string | undefined,
  { publicUrls = [], port = 443 }: RedirectOptions,
): string | undefined {
  // An absolute-form target has a host of its own: only its path is used.
  const path = /^[a-z]+:\/\/[^/?#]*(.*)$/i.exec(target)?.[1] ?? target;
  const suffix = path.startsWith('/') ? path : `/${path}`;
  const name = host === undefined ? undefined : HOST.exec(host)?.[1];
  const secure = publicUrls.filter((url) => url.startsWith('https://'));
  const own = secure.find((url) => new URL(url).hostname === name?.toLowerCase()) ?? secure[0];
  if (own !== undefined) return own + suffix;
  return name === undefined ? undefined : `https://${name}${port === 443 ? '' : `:${port}`}${suffix}`;
}

/**
 * Answers every request with 308: the method is kept, and a client may remember it. A request that reached a trusted proxy by
 * HTTPS goes on to `handler`.
 */
export function redirectToHttps(options: RedirectOptions, handler: RequestHandler): RequestHandler {
  return (request: IncomingMessage, response: ServerResponse) => {
    const { scheme, host } = clientInfoOf(request);
    if (scheme === 'https') return handler(request, response);
    const location = httpsLocation(request.url ?? '/', host, options);
    if (location === undefined) {
      const error = new OciError('UNSUPPORTED', 'the Host header names no host', { status: 400 });
      response.writeHead(400, { 'content-type': 'application/json' }).end(error.toBody());
      return;
    }
    response.writeHead(308, { location, 'content-length': '0' }).end();
  };
}
