/** What an answer says besides its status. */
interface Answer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What stands between this server and an upstream, and what to do about it. */
export interface Block {
  /** Who blocks, for "it was blocked by …". */
  readonly by: string;
  readonly remedy: string;
}

const ADDRESS_REMEDY =
  'Ask the operator of the upstream to admit the address of this server, or reach it by transport.outbound_proxy.';
const COUNTRY_REMEDY =
  'The upstream refuses the country or network of this server: reach it by transport.outbound_proxy, or name another upstream.';
const PAGE_REMEDY =
  'A firewall, a login portal or a proxy on the way answers in place of the registry: see what it says in a browser on this machine.';

/**
 * Tells an answer that a firewall, a bot check or a geographic block gave in place of the upstream's own; undefined where
 * nothing in it says so. Such an answer says nothing about whether the content exists. Pure.
 *
 * - `x-amzn-waf-action`: AWS WAF, whatever the status (AWS WAF developer guide, CAPTCHA and challenge actions)
 * - `cf-mitigated: challenge`, or `server: cloudflare` with a page of status 403, 429 or 503: a challenge of Cloudflare
 * - status 451: RFC 7725
 * - an HTML page of status 403 without the registry's own header: some other device on the way
 */
export function blockOf({ status, headers }: Answer): Block | undefined {
  if (status < 400 && headers['x-amzn-waf-action'] === undefined && headers['cf-mitigated'] === undefined)
    return undefined;
  if (headers['x-amzn-waf-action'] !== undefined)
    return { by: 'the web application firewall of AWS', remedy: ADDRESS_REMEDY };
  const isPage =
    /^[\t ]*(?:text\/html|application\/xhtml\+xml)\b/i.test(headers['content-type'] ?? '') &&
    headers['docker-distribution-api-version'] === undefined;
  const isRefusal = status === 403 || status === 429 || status === 503;
  const isCloudflare = /^cloudflare\b/i.test(headers['server'] ?? '');
  if (headers['cf-mitigated'] !== undefined || (isCloudflare && isPage && isRefusal)) {
    return { by: 'a challenge of Cloudflare', remedy: ADDRESS_REMEDY };
  }
  if (status === 451) return { by: 'a legal or geographic restriction', remedy: COUNTRY_REMEDY };
  // A gateway in front of a registry that is down may answer 503 with a page of its own: 403 alone is a refusal there.
  if (isPage && status === 403) return { by: 'a web page where the registry would answer JSON', remedy: PAGE_REMEDY };
  return undefined;
}
