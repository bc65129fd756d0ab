import type { BlockKind } from '../telemetry/index.ts';

/** What an answer says besides its status. */
interface Answer {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What stands between this server and an upstream, and what to do about it. */
export interface Block {
  readonly kind: Exclude<BlockKind, 'tls-reset'>;
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
    return { kind: 'firewall', by: 'the web application firewall of AWS', remedy: ADDRESS_REMEDY };
  const isPage =
    /^[\t ]*(?:text\/html|application\/xhtml\+xml)\b/i.test(headers['content-type'] ?? '') &&
    headers['docker-distribution-api-version'] === undefined;
  const isRefusal = status === 403 || status === 429 || status === 503;
  const isCloudflare = /^cloudflare\b/i.test(headers['server'] ?? '');
  if (headers['cf-mitigated'] !== undefined || (isCloudflare && isPage && isRefusal)) {
    return { kind: 'challenge', by: 'a challenge of Cloudflare', remedy: ADDRESS_REMEDY };
  }
  if (status === 451) return { kind: 'restriction', by: 'a legal or geographic restriction', remedy: COUNTRY_REMEDY };
  // A gateway in front of a registry that is down may answer 503 with a page of its own: 403 alone is a refusal there.
  if (isPage && status === 403) {
    return { kind: 'page', by: 'a web page where the registry would answer JSON', remedy: PAGE_REMEDY };
  }
  return undefined;
}

/** The same for a site behind a mirror route, whose own refusal is a web page too. */
export function siteBlockOf(answer: Answer): Block | undefined {
  const block = blockOf(answer);
  return block?.kind === 'page' ? undefined : block;
}

/** An answer that refuses the version of HTTP. */
export interface VersionRefusal {
  /** Follows the status: "answered 464: …". */
  readonly words: string;
  readonly remedy: string;
}

/**
 * Tells an answer that refuses HTTP/1.1, the only version that this server speaks to upstreams; undefined for any other. Pure.
 *
 * - 426: the server wants the protocol of its `Upgrade` header (RFC 9110, section 15.5.22)
 * - 464: a load balancer of AWS whose targets speak HTTP/2 or gRPC alone (Application Load Balancer user guide, "HTTP 464")
 * - 505: RFC 9110, section 15.6.6
 */
export function versionRefusalOf({ status, headers }: Answer): VersionRefusal | undefined {
  if (status !== 426 && status !== 464 && status !== 505) return undefined;
  const upgrade = headers['upgrade'] ?? '';
  const wanted = status === 426 && /^[\w./, -]{1,60}$/.test(upgrade) ? `, and wants ${upgrade}` : '';
  const who = status === 464 ? 'the load balancer in front of it' : 'it';
  return { words: `${who} refuses HTTP/1.1, the version of this server${wanted}`, remedy: VERSION_REMEDY };
}

const VERSION_REMEDY =
  'Let the upstream accept HTTP/1.1 as well, name another address of it, or put a reverse proxy that speaks both in front of it.';
