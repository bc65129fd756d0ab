import { type HttpReply, hrefOf } from '../net/index.ts';
import type { UploadPlace } from '../oci/index.ts';
import { ANY, type UpstreamConnection } from './connection.ts';
import { decideRedirect } from './redirects/index.ts';
import type { UpstreamResponse } from './upstream-request.ts';

/**
 * Where an upload goes on, by the `Location` of an answer: absolute or relative, with its query as it was written. It may lead
 * wherever a redirect may; the credential goes to the upstream's own origin alone.
 *
 * A `http:` URL of the upstream's own host is read as its `https:` one: a registry behind a proxy that ends TLS, and that knows
 * nothing of it, gives such URLs.
 */
export function placeOf(
  answer: UpstreamResponse<HttpReply>,
  { spec, url: upstream, derived }: UpstreamConnection,
): UploadPlace | { readonly reason: string } {
  const { url, target, privateNetwork, reply } = answer;
  const decision = decideRedirect(ownScheme(reply.headers['location'], upstream), {
    from: url,
    target,
    upstream,
    hops: 0,
    redirectHosts: spec.redirectHosts,
    addresses: privateNetwork ? ANY : derived,
  });
  if (decision.kind === 'refused') return { reason: `the upload cannot go on there: ${decision.reason}` };
  return { url: hrefOf(decision), privateNetwork };
}

function ownScheme(location: string | undefined, upstream: URL): string | undefined {
  const [, authority, rest = ''] = /^http:\/\/([^/?#\\]*)(.*)$/s.exec(location ?? '') ?? [];
  if (authority === undefined || upstream.protocol !== 'https:') return location;
  const host = URL.parse(`http://${authority}`);
  const isOwn =
    host?.hostname === upstream.hostname && host.username === '' && ['', '80', upstream.port].includes(host.port);
  return isOwn ? upstream.origin + rest : location;
}
