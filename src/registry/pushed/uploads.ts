import { nameOf } from '../../access/index.ts';
import type { HeldUpload, UploadBody, UploadOwner } from '../../hosting/index.ts';
import { type Digest, type DigestAlgorithm, digestAlgorithm, OciError, parseDigest } from '../../oci/index.ts';
import { bodyOf, discardBody, type PassedGate, replyEmpty } from '../../server/index.ts';
import type { PathOf, RegistryRequest } from '../request.ts';
import type { Row } from '../row.ts';
import { type Chunk, parseChunk } from './chunk.ts';
import { locationOf } from './location.ts';
import { type MountParts, mountBlob } from './mount.ts';

/** What the answers to uploads need. */
export type UploadParts = MountParts;

type UploadRequest = RegistryRequest<PathOf<'uploads'>>;

interface UploadRow extends Pick<Row, 'action' | 'wanted' | 'scope'> {
  /** Whether the path names a session. */
  readonly hasSession: boolean;
  readonly answer: (request: UploadRequest, gate: PassedGate, parts: UploadParts) => Promise<void>;
}

// What a session holds is its owner's, who may push: that decides over looking at it and ending it too.
const PUSH = { action: 'push', wanted: 'blob', scope: 'pull,push' } as const;

/** Uploads on one screen (distribution-spec, "Pushing blobs"; end-4 to end-6, end-11, end-13, end-14). */
export const UPLOAD_ROWS: Readonly<Record<string, UploadRow>> = {
  POST: { ...PUSH, hasSession: false, answer: startUpload },
  PATCH: { ...PUSH, hasSession: true, answer: appendToUpload },
  PUT: { ...PUSH, hasSession: true, answer: finishUpload },
  GET: { ...PUSH, hasSession: true, answer: showUpload },
  DELETE: { ...PUSH, hasSession: true, answer: cancelUpload },
};

/**
 * The row of a request for an upload of a repository whose home is this server.
 *
 * @throws {OciError} UNSUPPORTED for a method that the path does not have
 */
export function uploadRowOf({ context, path }: UploadRequest, parts: UploadParts): Row {
  const hasSession = path.session !== '';
  const row = Object.hasOwn(UPLOAD_ROWS, context.method) ? UPLOAD_ROWS[context.method] : undefined;
  if (row?.hasSession !== hasSession) {
    const allow = hasSession ? 'GET, PATCH, PUT, DELETE' : 'POST';
    throw new OciError('UNSUPPORTED', `an upload takes ${allow} here`, { headers: { allow } });
  }
  const { action, wanted, scope = 'pull' } = row;
  return {
    action,
    wanted,
    scope,
    // What is hosted is private: a rule has to name it.
    isPublic: () => false,
    // The path is of this kind: rowOf looked.
    answer: (request, gate) => row.answer(request as UploadRequest, gate, parts),
  };
}

/** `POST`: begins a session, takes a whole blob, or mounts one. */
async function startUpload(request: UploadRequest, gate: PassedGate, parts: UploadParts): Promise<void> {
  const { context, repository } = request;
  const query = new URLSearchParams(context.query);
  const algorithm = algorithmIn(query);
  const digest = query.has('digest') ? digestIn(query, 'digest') : undefined;
  if (query.has('mount')) {
    const mount = { digest: digestIn(query, 'mount'), from: query.get('from') || undefined };
    if (await mountBlob(request, mount, { gate, parts })) return replyCreated(request, mount.digest);
  }
  const body = bodyOf(context, { isCopied: true });
  if (digest !== undefined && body !== undefined) {
    await parts.uploads.pushWhole(repository, digest, body);
    return replyCreated(request, digest);
  }
  // A body without its digest is no part of the protocol: the session begins empty.
  await discardBody(context);
  const wanted = digest === undefined ? algorithm : digestAlgorithm(digest);
  const id = await parts.uploads.start(ownerOf(request, gate), wanted);
  replyEmpty(context, 202, { ...sessionHeaders(request, { id, size: 0 }), 'oci-chunk-min-length': MIN_CHUNK });
}

/**
 * Bytes of a chunk, for clients that choose its size by this: each chunk costs a request. Smaller ones are taken too (distribution-spec,
 * "Pushing a blob in chunks": the client SHOULD).
 */
const MIN_CHUNK = 1024 * 1024;

/** `PATCH`: a chunk, or a stream. */
async function appendToUpload(request: UploadRequest, gate: PassedGate, { uploads }: UploadParts): Promise<void> {
  const { path } = request;
  const body = bodyOf(request.context, { isCopied: true });
  const chunk = chunkOf(request, body ?? EMPTY);
  const size = await uploads.hold(path.session, ownerOf(request, gate), async (upload) => {
    // A stream without a Content-Range stays as far as it came: its client asks how far that is, and goes on from there. A chunk is all
    // or nothing: its client sends the same chunk again, which must come next.
    if (body !== undefined) await append(request, upload, { body, chunk, isWhole: false });
    return upload.size;
  });
  replyEmpty(request.context, 202, sessionHeaders(request, { id: path.session, size }));
}

/** `PUT`: the last bytes, where any are left, and the end. */
async function finishUpload(request: UploadRequest, gate: PassedGate, { uploads }: UploadParts): Promise<void> {
  const { context, path } = request;
  const query = new URLSearchParams(context.query);
  const digest = digestIn(query, 'digest');
  const body = bodyOf(context, { isCopied: true });
  const chunk = body === undefined ? undefined : chunkOf(request, body);
  const owner = ownerOf(request, gate);
  // Clients, and proxies between, repeat a PUT whose answer was lost.
  if (await uploads.hasFinished(path.session, owner, digest)) {
    await discardBody(context);
    return replyCreated(request, digest);
  }
  await uploads.hold(path.session, owner, async (upload) => {
    upload.prefer(digestAlgorithm(digest));
    // All or nothing: clients repeat a PUT that was cut as it was, and without a look at how far it came.
    if (body !== undefined) await append(request, upload, { body, chunk, isWhole: true });
    await upload.finish(digest);
  });
  replyCreated(request, digest);
}

/** `GET`: how far it is. */
async function showUpload(request: UploadRequest, gate: PassedGate, { uploads }: UploadParts): Promise<void> {
  const { session: id } = request.path;
  const size = await uploads.hold(id, ownerOf(request, gate), async (upload) => upload.size);
  const { 'content-length': _, ...headers } = sessionHeaders(request, { id, size });
  replyEmpty(request.context, 204, headers);
}

/** `DELETE`: ends it, and a request that is at work on it. */
async function cancelUpload(request: UploadRequest, gate: PassedGate, { uploads }: UploadParts): Promise<void> {
  await uploads.cancel(request.path.session, ownerOf(request, gate));
  replyEmpty(request.context, 204, {});
}

interface Append {
  readonly body: UploadBody;
  readonly chunk: Chunk | undefined;
  readonly isWhole: boolean;
}

/** @throws {OciError} RANGE_INVALID where the chunk does not come next: the session stays as it is */
async function append(request: UploadRequest, upload: HeldUpload, { body, chunk, isWhole }: Append): Promise<void> {
  if (chunk === undefined) return upload.append(body, { isWhole });
  const { size } = upload;
  if (chunk.start !== size) {
    const { 'content-length': _, ...headers } = sessionHeaders(request, { id: upload.id, size });
    throw new OciError('RANGE_INVALID', `the chunk begins at ${chunk.start}, and the next byte is ${size}`, {
      headers,
    });
  }
  return upload.append(body, { end: chunk.end });
}

const EMPTY = { length: 0 } as const;

function chunkOf({ context }: UploadRequest, { length }: Pick<UploadBody, 'length'>): Chunk | undefined {
  const header: unknown = context.request.headers['content-range'];
  return parseChunk(typeof header === 'string' ? header : undefined, length);
}

function ownerOf({ repository }: UploadRequest, { principal }: PassedGate): UploadOwner {
  return { repository, by: nameOf(principal) };
}

/** @throws {OciError} DIGEST_INVALID where it is missing, malformed or of an algorithm that is not known */
function digestIn(query: URLSearchParams, parameter: 'digest' | 'mount'): Digest {
  const text = query.get(parameter) ?? '';
  const digest = parseDigest(text);
  if (digest !== undefined) return digest;
  const found = text === '' ? 'is missing' : `is ${JSON.stringify(text.slice(0, 150))}`;
  throw new OciError(
    'DIGEST_INVALID',
    `?${parameter}= ${found}; expected sha256: or sha512: and lower-case hexadecimal`,
  );
}

/** @throws {OciError} DIGEST_INVALID for an algorithm that is not known */
function algorithmIn(query: URLSearchParams): DigestAlgorithm {
  const algorithm = query.get('digest-algorithm') ?? 'sha256';
  if (algorithm === 'sha256' || algorithm === 'sha512') return algorithm;
  throw new OciError(
    'DIGEST_INVALID',
    `?digest-algorithm= is ${JSON.stringify(algorithm.slice(0, 50))}; known are sha256 and sha512`,
  );
}

function replyCreated(request: UploadRequest, digest: Digest): void {
  const location = locationOf(request, `blobs/${digest}`);
  replyEmpty(request.context, 201, { location, 'docker-content-digest': digest, 'content-length': 0 });
}

/** Docker wants `0-0` of an empty session too. */
function sessionHeaders(
  request: UploadRequest,
  { id, size }: { readonly id: string; readonly size: number },
): Record<string, string> {
  return {
    location: locationOf(request, `blobs/uploads/${id}`),
    range: `0-${Math.max(0, size - 1)}`,
    'docker-upload-uuid': id,
    'content-length': '0',
  };
}
