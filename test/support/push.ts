import assert from 'node:assert/strict';
import type { Content, TestImage } from './image.ts';
import { type RawRequest, type RawResponse, rawRequest } from './raw-request.ts';

type Headers = NonNullable<RawRequest['headers']>;

/** Where a test pushes to, and as whom. */
export interface PushTarget {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** As the client names it: `apps/web`. */
  readonly repository: string;
  readonly headers?: Headers;
}

/** A request with a body. */
export function send(
  host: string,
  method: string,
  path: string,
  { headers = {}, body = Buffer.alloc(0) }: { readonly headers?: Headers | undefined; readonly body?: Buffer } = {},
): Promise<RawResponse> {
  return rawRequest(host, { method, path, headers: { 'content-length': String(body.length), ...headers }, body });
}

/** Pushes a blob as containerd and crane do: POST, then PUT with the bytes. Gives the first answer that is no success, else the last. */
export async function pushBlob(
  { host, repository, headers }: PushTarget,
  { digest, bytes }: Pick<Content, 'digest' | 'bytes'>,
): Promise<RawResponse> {
  const begun = await send(host, 'POST', `/v2/${repository}/blobs/uploads/`, { headers });
  if (begun.status !== 202) return begun;
  const { location = '' } = begun.headers;
  const path = `${location}${location.includes('?') ? '&' : '?'}digest=${digest}`;
  return send(host, 'PUT', path, { headers, body: bytes });
}

export function pushManifest(
  { host, repository, headers }: PushTarget,
  { mediaType, bytes }: Pick<Content, 'mediaType' | 'bytes'>,
  reference: string,
): Promise<RawResponse> {
  const all = { ...headers, 'content-type': mediaType };
  return send(host, 'PUT', `/v2/${repository}/manifests/${reference}`, { headers: all, body: bytes });
}

/** Pushes a whole image, and says so if anything of it was refused. */
export async function pushImage(target: PushTarget, image: TestImage, tag = 'latest'): Promise<void> {
  for (const blob of image.blobs) {
    const { status, body } = await pushBlob(target, blob);
    assert.equal(status, 201, body.toString());
  }
  for (const manifest of [...image.platforms.map((each) => each.manifest), image.index]) {
    const { status, body } = await pushManifest(target, manifest, manifest === image.index ? tag : manifest.digest);
    assert.equal(status, 201, body.toString());
  }
}

/** The code and message of a refusal. */
export function refusalOf({ status, body }: RawResponse): { status: number; code: string; message: string } {
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string; message: string }[] };
  const { code = '', message = '' } = errors[0] ?? {};
  return { status, code, message };
}
