import type { HttpReply } from '../../net/index.ts';
import {
  type AppendUploadOptions,
  type Digest,
  type FinishUploadOptions,
  type OpenUpload,
  type OriginOptions,
  parseDigest,
  type StartUploadOptions,
  type StoredUpload,
  type UploadPlace,
} from '../../oci/index.ts';
import { SentBody } from '../sent-body.ts';
import type { Upstream } from '../upstream.ts';
import { deleteScope, type PushRequest, pushScope, type UpstreamResponse } from '../upstream-request.ts';
import { pushRefused, rangeOf } from './push-refusal.ts';

export type PushAsked<Options extends OriginOptions = OriginOptions> = Options &
  Pick<PushRequest, 'via'> & { readonly repository: string };

type UploadAsked<Options extends OriginOptions = OriginOptions> = PushAsked<Options> & { readonly place: UploadPlace };

/** `from`: the name of the other repository at the upstream. */
type StartAsked = PushAsked<Pick<StartUploadOptions, 'algorithm' | 'signal'>> & {
  readonly mount?: { readonly digest: Digest; readonly from: string } | undefined;
};

const BYTES = { 'content-type': 'application/octet-stream' };

/**
 * Starts an upload. Where a mount is refused because the credential may not read the other repository, the upload is started
 * without it: the blob can still be sent.
 */
export async function startUpload(upstream: Upstream, asked: StartAsked): Promise<OpenUpload | StoredUpload> {
  const { repository, mount, algorithm, via, signal } = asked;
  const query = new URLSearchParams();
  // As every client writes it: a digest with its colon, a name with its slashes.
  const mounted = mount === undefined ? '' : `mount=${mount.digest}&from=${mount.from}`;
  if (algorithm !== undefined) query.set('digest-algorithm', algorithm);
  const text = [mounted, query.toString()].filter((each) => each !== '').join('&');
  const request: PushRequest = {
    method: 'POST',
    path: `/v2/${repository}/blobs/uploads/${text === '' ? '' : `?${text}`}`,
    scope: pushScope(repository, mount?.from),
    headers: {},
    kind: 'push',
    follow: isMethodKept,
    via,
    signal,
  };
  const answer = await upstream.push(request);
  const { status } = answer.reply;
  if (status === 201 && mount !== undefined) return storedOf(answer);
  if (status === 202 || status === 201) return openOf(upstream, request, answer);
  if (mount !== undefined && status >= 400 && status < 500 && status !== 429) {
    return startUpload(upstream, { ...asked, mount: undefined });
  }
  throw pushRefused(upstream, request, answer);
}

/** Sends the next bytes of an upload. */
export async function appendUpload(upstream: Upstream, asked: UploadAsked<AppendUploadOptions>): Promise<OpenUpload> {
  const { body, range } = asked;
  const sent = new SentBody(body);
  const headers = { ...BYTES, ...(range === undefined ? {} : { 'content-range': range }) };
  const request: PushRequest = { ...requestFor('PATCH', asked), headers, body: sent };
  try {
    const answer = await upstream.push(request);
    const { status } = answer.reply;
    // 204 and 201 are of registries before the specification.
    if (status !== 202 && status !== 204 && status !== 201) throw pushRefused(upstream, request, answer);
    return openOf(upstream, request, answer);
  } finally {
    sent.end();
  }
}

/** Ends an upload. */
export async function finishUpload(upstream: Upstream, asked: UploadAsked<FinishUploadOptions>): Promise<StoredUpload> {
  const { body, range, digest, place } = asked;
  const sent = body === undefined ? undefined : new SentBody(body);
  const headers = body === undefined ? {} : { ...BYTES, ...(range === undefined ? {} : { 'content-range': range }) };
  const url = `${place.url}${place.url.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`;
  const at = { ...place, url };
  const request: PushRequest = { ...requestFor('PUT', { ...asked, place: at }), headers, body: sent, isLong: true };
  try {
    const answer = await upstream.push(request);
    const { status } = answer.reply;
    if (status !== 201 && status !== 204) throw pushRefused(upstream, request, answer);
    return storedOf(answer);
  } finally {
    sent?.end();
  }
}

export async function uploadStatus(upstream: Upstream, asked: UploadAsked): Promise<OpenUpload> {
  const request = requestFor('GET', asked);
  const answer = await upstream.push(request);
  const { status } = answer.reply;
  if (status !== 204 && status !== 200 && status !== 202) throw pushRefused(upstream, request, answer);
  return openOf(upstream, request, answer);
}

/** Gives an upload up. Registries that do not know this end it by themselves after some days. */
export async function cancelUpload(upstream: Upstream, asked: UploadAsked): Promise<void> {
  const request = { ...requestFor('DELETE', asked), scope: deleteScope(asked.repository) };
  const answer = await upstream.push(request);
  const { status } = answer.reply;
  if (status < 200 || status >= 300) throw pushRefused(upstream, request, answer);
}

/** Of the redirects, those that keep method and body (RFC 9110, sections 15.4.8 and 15.4.9). */
export function isMethodKept(status: number): boolean {
  return status === 307 || status === 308;
}

function requestFor(method: PushRequest['method'], { repository, place, via, signal }: UploadAsked): PushRequest {
  const scope = pushScope(repository);
  return { method, path: '', at: place, scope, headers: {}, kind: 'push', follow: isMethodKept, via, signal };
}

function openOf(upstream: Upstream, request: PushRequest, answer: UpstreamResponse<HttpReply>): OpenUpload {
  const { headers } = answer.reply;
  const uuid = headers['docker-upload-uuid'];
  const minimum = headers['oci-chunk-min-length'] ?? '';
  return {
    kind: 'open',
    // The answer to a status may leave it out: then it goes on where it was.
    place:
      headers['location'] === undefined && request.at !== undefined ? request.at : upstream.placeIn(request, answer),
    range: rangeOf(headers['range']),
    uuid: uuid !== undefined && /^[\w.=-]{1,128}$/.test(uuid) ? uuid : undefined,
    minChunkLength: /^\d{1,12}$/.test(minimum) ? Number(minimum) : undefined,
  };
}

function storedOf({ reply: { headers } }: UpstreamResponse<HttpReply>): StoredUpload {
  return { kind: 'stored', digest: parseDigest(headers['docker-content-digest'] ?? '') };
}
