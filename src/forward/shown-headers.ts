import type { IncomingHttpHeaders, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { redactUrl } from '../telemetry/index.ts';

/** Headers whose values can be shown: they say what is asked and answered, and none of them lets anybody in. */
const SHOWN: ReadonlySet<string> = new Set(
  (
    'accept accept-encoding accept-language accept-ranges age cache-control connection content-disposition ' +
    'content-encoding content-length content-range content-type date docker-content-digest ' +
    'docker-distribution-api-version etag expires host if-match if-modified-since if-none-match if-range last-modified ' +
    'oci-filters-applied oci-namespace oci-subject proxy-connection range ratelimit-limit ratelimit-remaining ' +
    'retry-after server transfer-encoding user-agent vary via warning www-authenticate x-cache x-ratelimit-limit ' +
    'x-ratelimit-remaining x-request-id'
  ).split(' '),
);

/** Headers that hold an address, of which a query (a signature, more often than not) is no one's business. */
const ADDRESSES: ReadonlySet<string> = new Set(['content-location', 'link', 'location', 'referer']);

const MASK = '***';
const MAX_SHOWN = 100;

/**
 * Headers as a log may have them: names in lower case, and the value of every one that is not known to be harmless is
 * masked. A list of what is secret would always be one name short.
 */
export function shownHeaders(headers: IncomingHttpHeaders | OutgoingHttpHeaders): Readonly<Record<string, string>> {
  const shown: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of Object.entries(headers).slice(0, MAX_SHOWN)) {
    if (value === undefined) continue;
    const key = name.toLowerCase();
    const text = Array.isArray(value) ? value.join(', ') : String(value);
    if (SHOWN.has(key)) shown[key] = text;
    else shown[key] = ADDRESSES.has(key) ? redactUrl(text.replace(/\?[^>\s]*/g, '')) : MASK;
  }
  return shown;
}

/**
 * Listens to what a response is given for its head, and tells it afterwards: Node sends what writeHead() is given without
 * keeping it.
 */
export function rememberHeaders(response: ServerResponse): () => OutgoingHttpHeaders {
  const writeHead = response.writeHead.bind(response);
  let given: OutgoingHttpHeaders = {};
  response.writeHead = (status: number, ...rest: readonly unknown[]): ServerResponse => {
    const headers = rest.at(-1);
    if (Array.isArray(headers)) given = ofPairs(headers as readonly OutgoingHttpHeader[]);
    else if (typeof headers === 'object' && headers !== null) given = headers as OutgoingHttpHeaders;
    return (writeHead as (status: number, ...rest: readonly unknown[]) => ServerResponse)(status, ...rest);
  };
  return () => ({ ...response.getHeaders(), ...given });
}

/** Name and value alternate. */
function ofPairs(pairs: readonly OutgoingHttpHeader[]): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  for (let i = 0; i + 1 < pairs.length; i += 2) headers[String(pairs[i])] = pairs[i + 1];
  return headers;
}
