// Headers of a site's answer that the client does not get. An answer is about one resource, and most of its headers are too: they
// pass, also those that are not known here, as clients of a site look for its own (`X-Linked-Size`, `X-Total-Count`). A list of
// headers that pass would break such clients silently. What is withheld binds this server's whole name to a site's word, or
// makes a server in front of this one act. The names are those of the IANA registry of HTTP fields, of the specifications of
// browsers, and of the manuals of the servers that are named.

/** What a browser applies to the whole origin, or to the host: it would hold for registries and other routes as well. */
const OF_THE_ORIGIN = [
  // Transport: HSTS, key pins, certificate transparency, other places of the same service.
  'alt-svc',
  'alt-used',
  'expect-ct',
  'expect-staple',
  'public-key-pins',
  'strict-transport-security',
  // Storage, workers, processes, features, dictionaries for other URLs of the origin.
  'activate-storage-access',
  'clear-site-data',
  'origin-agent-cluster',
  'origin-isolation',
  'origin-trial',
  'service-worker-allowed',
  'service-worker-navigation-preload',
  'speculation-rules',
  'supports-loading-mode',
  'use-as-dictionary',
  // Client hints, which the browser sends to all of the origin from then on.
  'accept-ch',
  'accept-ch-lifetime',
  'critical-ch',
  // Reports about the origin, to the site's choice of address.
  'nel',
  'report-to',
  'reporting-endpoints',
  // Identity and advertising: login state, what the browser registers for the origin.
  'idp-signin-status',
  'observe-browsing-topics',
  'p3p',
  'set-cookie',
  'set-cookie2',
  'set-login',
  'shared-storage-write',
  'x-permitted-cross-domain-policies',
];

/** Addresses that lead around this server, in headers that are not rewritten. */
const LEADING_AWAY = ['refresh', 'sourcemap', 'x-sourcemap'];

/** What this server says itself. */
const OWN = ['content-length', 'x-cache', 'x-request-id'];

/** Tags by which a cache in front is purged, and words between an application and the server that runs it. */
const OF_SERVERS = ['cache-tag', 'cache-tags', 'lsc-cookie', 'x-cascade', 'x-esi', 'xkey'];

const WITHHELD: ReadonlySet<string> = new Set([...OF_THE_ORIGIN, ...LEADING_AWAY, ...OWN, ...OF_SERVERS]);

/**
 * Families. Browsers: policies that only report, device-bound sessions, registrations of advertising. Servers in front that obey
 * an answer, by sending a file of their own, asking another address, caching, or marking the server as failed: nginx and
 * Cherokee (`X-Accel-`), Apache and Lighttpd (`X-Sendfile`, `X-Lighttpd-`), Perlbal (`X-Reproxy-`), LiteSpeed, Envoy, uWSGI
 * (`X-Offload-`), Passenger, App Engine, IIS (`X-ARR-`), PageSpeed, Vercel (`X-Middleware-`), Rack; and caches and CDNs:
 * `Surrogate-`, `Edge-`, and targeted cache control (RFC 9213).
 */
const FAMILIES =
  /^(?:(?:sec|secure-session|attribution-reporting|ad-auction|proxy|surrogate|edge|cdn|fastly|akamai)-|x-(?:accel|send-?file|lighttpd|reproxy|litespeed|lsadc|envoy|offload|passenger|appengine|arr|psa|mod-pagespeed|page-speed|middleware|rack|akamai|edge|proxy|nginx)(?:-|\d|$))|-report-only$|.-cache-control$/;

/** Whether a header (lower case) of a site's answer is withheld from the client. */
export function isWithheld(name: string): boolean {
  return WITHHELD.has(name) || FAMILIES.test(name);
}
