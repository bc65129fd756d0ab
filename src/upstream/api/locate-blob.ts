import { hrefOf } from '../../net/index.ts';
import type { BlobLocation } from '../../oci/index.ts';
import { shownUrl } from '../error.ts';
import { decideRedirect, isRedirect, needsNoCredential } from '../redirects/index.ts';
import type { Upstream } from '../upstream.ts';
import type { UpstreamRequest } from '../upstream-request.ts';
import { type BlobAsked, blobRequest } from './blobs.ts';

/**
 * Finds a URL where a client can fetch a blob by itself (decisions: redirect delivery).
 *
 * The first request is anonymous. Where the upstream answers it, with the blob or a redirect, the client is sent to the
 * upstream's own blob URL and follows from there. Otherwise a request with our credential is made, and the client is sent
 * to its redirect: a signed URL, valid for minutes and never stored.
 *
 * @returns undefined where only our credential opens the blob
 */
export async function locateBlob(upstream: Upstream, asked: BlobAsked): Promise<BlobLocation | undefined> {
  return (await locateBare(upstream, asked)) ?? (await locateSigned(upstream, asked));
}

async function locateBare(upstream: Upstream, asked: BlobAsked): Promise<BlobLocation | undefined> {
  // An upstream that requires a client certificate would break the connection: clients have none.
  if (upstream.spec.transport.upstream.tls.certFile !== undefined) return undefined;
  const request: UpstreamRequest = { ...blobRequest('HEAD', asked), anonymous: true, follow: () => false };
  const { reply } = await upstream.fetch(request, 0);
  if (reply.status !== 200 && !isRedirect(reply.status)) return undefined;
  return { url: upstream.spec.url + request.path, upstream: upstream.name, visibility: 'public' };
}

async function locateSigned(upstream: Upstream, asked: BlobAsked): Promise<BlobLocation | undefined> {
  // With GET, since a URL is signed for one method.
  const request: UpstreamRequest = { ...blobRequest('GET', asked), follow: () => false };
  const answer = await upstream.open(request);
  const { reply, url, target, visibility, privateNetwork } = answer;
  if (reply.status === 200) {
    reply.body.cancel();
    return undefined;
  }
  if (!isRedirect(reply.status)) throw await upstream.failure(request, answer);
  reply.body.cancel();
  const decision = decideRedirect(reply.headers['location'], {
    from: url,
    target,
    upstream: upstream.url,
    hops: 0,
    redirectHosts: upstream.spec.redirectHosts,
    addresses: upstream.addressesAfter(privateNetwork),
  });
  if (decision.kind === 'refused') {
    throw upstream.invalid(request, `the redirect of ${shownUrl(url)} is not passed on: ${decision.reason}`);
  }
  if (!needsNoCredential(decision.url, upstream.url)) return undefined;
  return { url: hrefOf(decision), upstream: upstream.name, visibility };
}
