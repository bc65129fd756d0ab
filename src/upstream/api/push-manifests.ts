import {
  type Digest,
  formatReference,
  isTag,
  type PutManifestOptions,
  parseDigest,
  type Reference,
  type StoredManifest,
} from '../../oci/index.ts';
import { SentBody } from '../sent-body.ts';
import type { Upstream } from '../upstream.ts';
import { deleteScope, type PushRequest, pushScope } from '../upstream-request.ts';
import { pushRefused } from './push-refusal.ts';
import { isMethodKept, type PushAsked } from './uploads.ts';

type ManifestAsked<Options> = PushAsked<Options & { readonly signal?: AbortSignal | undefined }> & {
  readonly reference: Reference;
};

/** Puts a manifest under a tag or its digest. Its bytes are in memory, so they are sent again where the upstream asks for it. */
export async function putManifest(
  upstream: Upstream,
  asked: ManifestAsked<PutManifestOptions>,
): Promise<StoredManifest> {
  const { repository, reference, bytes, mediaType, tags = [], via, signal } = asked;
  const query = tags.map((tag) => `tag=${tag}`).join('&');
  const request: PushRequest = {
    method: 'PUT',
    path: `${manifestPath(repository, reference)}${query === '' ? '' : `?${query}`}`,
    scope: pushScope(repository),
    headers: { 'content-type': mediaType },
    body: new SentBody(bytes),
    kind: 'push',
    isLong: true,
    follow: isMethodKept,
    via,
    signal,
  };
  const answer = await upstream.push(request);
  const { status, headers } = answer.reply;
  if (status !== 201 && status !== 200 && status !== 202) throw pushRefused(upstream, request, answer);
  const said = (headers['oci-tag'] ?? '').split(',').map((each) => each.trim());
  return {
    digest: parseDigest(headers['docker-content-digest'] ?? ''),
    subject: parseDigest(headers['oci-subject'] ?? ''),
    tags: said.filter((each) => isTag(each)),
  };
}

export function deleteManifest(upstream: Upstream, asked: ManifestAsked<object>): Promise<void> {
  return remove(upstream, manifestPath(asked.repository, asked.reference), asked);
}

export function deleteBlob(upstream: Upstream, asked: PushAsked & { readonly digest: Digest }): Promise<void> {
  return remove(upstream, `/v2/${asked.repository}/blobs/${asked.digest}`, asked);
}

async function remove(upstream: Upstream, path: string, { repository, via, signal }: PushAsked): Promise<void> {
  const scope = deleteScope(repository);
  const about = { scope, headers: {}, kind: 'push', follow: isMethodKept, via, signal } as const;
  const request: PushRequest = { method: 'DELETE', path, ...about };
  const answer = await upstream.push(request);
  const { status } = answer.reply;
  if (status < 200 || status >= 300) throw pushRefused(upstream, request, answer);
}

function manifestPath(repository: string, reference: Reference): string {
  return `/v2/${repository}/manifests/${formatReference(reference)}`;
}
