import type { BlobLocation } from '../../oci/index.ts';
import { shownUrl } from '../error.ts';
import { decideRedirect, isRedirect, needsNoCredential } from '../redirect.ts';
import type { Upstream } from '../upstream.ts';
import type { UpstreamRequest } from '../upstream-request.ts';
import { type BlobAsked, blobRequest } from './blobs.ts';

/**
 * Finds out where a client can fetch a blob by itself (decisions: redirect delivery).
 *
 * First it is asked as the client would ask, bare of every right of ours. Where that is answered, by the blob or by a
 * redirect, the client is sent to the upstream's own blob URL, and follows from there by itself. Else it is asked with
 * our right, and the client is sent where the upstream sends us: to a URL that holds a signature, good for minutes and
 * never remembered.
 *
 * @returns undefined where only our own credential opens the blob
 */
export async function locateBlob(upstream: Upstream, asked: BlobAsked): Promise<BlobLocation | undefined> {
  return (await locateBare(upstream, asked)) ?? (await locateSigned(upstream, asked));
}

async function locateBare(upstream: Upstream, asked: BlobAsked): Promise<BlobLocation | undefined> {
  // Who lets in only those with a certificate would break the connection, and a client has none.
  if (upstream.spec.tls?.certFile !== undefined) return undefined;
  const request: UpstreamRequest = { ...blobRequest('HEAD', asked), anonymous: true, follow: () => false };
  const { reply } = await upstream.fetch(request, 0);
  if (reply.status !== 200 && !isRedirect(reply.status)) return undefined;
  return { url: upstream.spec.url + request.path, upstream: upstream.name, visibility: 'public' };
}

async function locateSigned(upstream: Upstream, asked: BlobAsked): Promise<BlobLocation | undefined> {
  // With GET, as a signature is for one method.
  const request: UpstreamRequest = { ...blobRequest('GET', asked), follow: () => false };
  const answer = await upstream.open(request);
  const { reply, url, visibility, privateNetwork } = answer;
  if (reply.status === 200) {
    reply.body.cancel();
    return undefined;
  }
  if (!isRedirect(reply.status)) throw await upstream.failure(request, answer);
  reply.body.cancel();
  const decision = decideRedirect(reply.headers['location'], {
    from: url,
    upstream: upstream.url,
    hops: 0,
    redirectHosts: upstream.spec.redirectHosts,
    addresses: upstream.addressesAfter(privateNetwork),
  });
  if (decision.kind === 'refused') {
    throw upstream.invalid(request, `the redirect of ${shownUrl(url)} is not passed on: ${decision.reason}`);
  }
  if (!needsNoCredential(decision.url, upstream.url)) return undefined;
  return { url: decision.url.href, upstream: upstream.name, visibility };
}
