import type { IncomingHttpHeaders, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { redactUrl } from '../telemetry/index.ts';

/** Headers whose values can be logged: they describe the exchange, and none of them is a credential. */
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

/** Headers that hold an address. Its query is left out, since it often is a signature. */
const ADDRESSES: ReadonlySet<string> = new Set(['content-location', 'link', 'location', 'referer']);

const MASK = '***';
const MAX_SHOWN = 100;

/**
 * Headers for the log: names in lower case, and the value of every header that is not known to be harmless is masked. A list
 * of secret headers would always be one name short.
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

/** Remembers the headers of a response's head: Node sends those given to writeHead() without keeping them. */
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
