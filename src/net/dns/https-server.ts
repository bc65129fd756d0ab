import type { HttpClient } from '../http-types.ts';
import { DnsServerError } from './dns-error.ts';
import type { DnsServer } from './dns-server.ts';
import { decodeAnswer, encodeQuery } from './message.ts';

const MEDIA_TYPE = 'application/dns-message';
/** A DNS message has at most 64 KiB. */
const MAX_MESSAGE = 65_535;

/** A name server over HTTPS (RFC 8484), by POST: so that no log of URLs holds the query. */
export function createHttpsServer(
  url: URL,
  { http, queryTimeout }: { readonly http: HttpClient; readonly queryTimeout: number },
): DnsServer {
  const name = `${url.origin}${url.pathname}`;
  return {
    name,
    async ask(question) {
      const { status, headers, body } = await http.fetch({
        method: 'POST',
        url,
        headers: { accept: MEDIA_TYPE, 'content-type': MEDIA_TYPE },
        body: encodeQuery(question, { id: 0 }),
        addresses: { kind: 'any' },
        maxBytes: MAX_MESSAGE,
        signal: AbortSignal.timeout(queryTimeout),
      });
      const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase();
      if (status !== 200 || type !== MEDIA_TYPE) {
        throw new DnsServerError(
          `${name} answered ${status} with ${type ?? 'no type'}, expected 200 with ${MEDIA_TYPE}`,
        );
      }
      return decodeAnswer(body, question);
    },
    close: (options) => void http.close(options),
  };
}
