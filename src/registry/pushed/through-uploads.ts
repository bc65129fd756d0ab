import { randomUUID } from 'node:crypto';
import { nameOf } from '../../access/index.ts';
import { byteSourceOf } from '../../lib/index.ts';
import {
  type Digest,
  type DigestAlgorithm,
  isRepositoryName,
  OciError,
  type OpenUpload,
  type PushBody,
  parseDigest,
  type Repository,
  type StoredUpload,
} from '../../oci/index.ts';
import { qualifyRepository } from '../../routing/index.ts';
import { bodyOf, type RequestContext, replyEmpty } from '../../server/index.ts';
import { isPublic } from '../is-public.ts';
import { locationIn } from './location.ts';
import { PassedBody } from './passed-body.ts';
import type { Through, ThroughRequest } from './through-request.ts';
import type { UploadState } from './upload-states.ts';

type Asked = ThroughRequest<'uploads'>;

/** `POST /blobs/uploads/`: an upload, a mount, or a whole blob in one request. */
export async function startUpload(asked: Asked, through: Through): Promise<void> {
  const { request, gate, origin } = asked;
  const { context, repository } = request;
  const { signal } = context;
  const query = new URLSearchParams(context.query);
  const algorithm = algorithmIn(query);
  const digest = context.hasBody ? digestIn(query) : undefined;
  const mount = digest === undefined ? await mountIn(asked, query, through) : undefined;
  const started = await origin.startUpload(repository, { mount, algorithm, signal });
  if (started.kind === 'stored') {
    if (mount === undefined) throw new TypeError('Cannot have stored a blob that was not named');
    const { digest: mounted } = mount;
    await through.cache.pushed.blob(repository, { digest: mounted, visibility: origin.visibility });
    return created(asked, through, { digest: mounted, stored: started, size: undefined, how: 'mounted' });
  }
  const id = randomUUID();
  const state: UploadState = {
    id,
    segment: started.uuid ?? id,
    repository,
    principal: nameOf(gate.principal),
    upstream: origin.upstream,
    place: started.place,
    algorithm,
    received: 0,
  };
  // Not every registry takes a blob with the request that starts its upload; each takes it with the one that ends it.
  if (digest !== undefined) return finish(asked, through, { state, digest });
  through.passing.put(id, through.cache.pushed.begin(algorithm));
  await replyOpen(asked, through, { status: 202, state, open: started });
}

/** `PATCH`: the next bytes. */
export async function appendUpload(asked: Asked, through: Through): Promise<void> {
  const { request, origin } = asked;
  const { context, repository } = request;
  const { signal } = context;
  const body = bodyOf(context) ?? NO_BYTES;
  const range = rangeOf(context);
  const state = await inOrder(asked, through, range);
  const blob = through.passing.take(state.id);
  const before = blob?.written ?? 0;
  const source = new PassedBody(body.source, blob);
  let open: OpenUpload;
  try {
    open = await origin.appendUpload(repository, state.place, { body: { length: body.length, source }, range, signal });
    await source.settled();
  } catch (error) {
    await source.settled();
    // What was refused before a byte was read leaves the upload as it was.
    if (source.length === 0) through.passing.put(state.id, blob);
    else await blob?.drop();
    throw await withPlace(error, asked, through, state);
  }
  // Kept is only what the upstream has taken at the same place.
  const isInOrder = range === undefined || Number(range.split('-', 1)[0]) === before;
  const has = endOf(open.range);
  if (!isInOrder || (has !== undefined && has !== blob?.written && source.length > 0)) await blob?.drop();
  through.passing.put(state.id, blob);
  const received = has === 1 || has === undefined ? undefined : has;
  await replyOpen(asked, through, { status: 202, state: { ...state, received }, open });
}

/** `PUT ?digest=`: the last bytes, or none. */
export async function finishUpload(asked: Asked, through: Through): Promise<void> {
  const digest = digestIn(new URLSearchParams(asked.request.context.query));
  if (digest === undefined) throw new OciError('DIGEST_INVALID', 'the digest of the blob is missing: ?digest=');
  const range = rangeOf(asked.request.context);
  await finish(asked, through, { state: await inOrder(asked, through, range), digest });
}

/** `GET`: how far it is. */
export async function uploadStatus(asked: Asked, through: Through): Promise<void> {
  const { request, origin } = asked;
  const state = await stateOf(asked, through);
  const { signal } = request.context;
  const open = await origin.uploadStatus(request.repository, state.place, { signal });
  await replyOpen(asked, through, { status: 204, state, open });
}

/** `DELETE`: it is given up. */
export async function cancelUpload(asked: Asked, through: Through): Promise<void> {
  const { request, origin } = asked;
  const state = await stateOf(asked, through);
  await through.passing.take(state.id)?.drop();
  await origin.cancelUpload(request.repository, state.place, { signal: request.context.signal });
  replyEmpty(request.context, 204, {});
}

async function finish(
  asked: Asked,
  through: Through,
  { state, digest }: { readonly state: UploadState; readonly digest: Digest },
): Promise<void> {
  const { request, origin } = asked;
  const { context, repository } = request;
  const { signal } = context;
  const body = bodyOf(context);
  const range = rangeOf(context);
  const isFirst = request.path.session === '';
  const blob = isFirst ? through.cache.pushed.begin(algorithmOf(digest)) : through.passing.take(state.id);
  const before = blob?.written ?? 0;
  const source = body === undefined ? undefined : new PassedBody(body.source, blob);
  const sent: PushBody | undefined = body && source && { length: body.length, source };
  let stored: StoredUpload;
  try {
    stored = await origin.finishUpload(repository, state.place, { digest, body: sent, range, signal });
    await source?.settled();
  } catch (error) {
    await source?.settled();
    // A 416 leaves the upload as it was, also here.
    if (!isFirst && (source?.length ?? 0) === 0) through.passing.put(state.id, blob);
    else await blob?.drop();
    if (isFirst) void origin.cancelUpload(repository, state.place).catch(() => undefined);
    throw await withPlace(error, asked, through, state);
  }
  const isInOrder = range === undefined || Number(range.split('-', 1)[0]) === before;
  // An upstream that names another digest has something else: what it has is not known, so nothing is kept.
  const isSame = stored.digest === undefined || stored.digest === digest;
  if (!isInOrder || !isSame) await blob?.drop();
  const size = blob?.isOver === false ? blob.written : undefined;
  if (isSame) {
    const { visibility } = origin;
    await through.cache.pushed.blob(repository, { digest, visibility, passing: blob });
  }
  await created(asked, through, { digest, stored, size, how: 'uploaded' });
}

/** Answers 201 with where the blob is. */
async function created(
  { request }: Asked,
  { cache, telemetry }: Pick<Through, 'cache' | 'telemetry'>,
  {
    digest,
    stored,
    size,
    how,
  }: {
    readonly digest: Digest;
    readonly stored: StoredUpload;
    readonly size: number | undefined;
    readonly how: 'uploaded' | 'mounted';
  },
): Promise<void> {
  const { context, repository } = request;
  const found = stored.digest ?? digest;
  const known = size ?? (await cache.storedSize(digest));
  telemetry.publish('blob.pushed', { ...repository, digest: found, size: known ?? 0, how });
  replyEmpty(context, 201, {
    location: locationIn(request, `blobs/${found}`),
    'docker-content-digest': found,
    'content-length': 0,
  });
}

async function replyOpen(
  { request }: Asked,
  { states }: Through,
  { status, state, open }: { readonly status: 202 | 204; readonly state: UploadState; readonly open: OpenUpload },
): Promise<void> {
  const { range, minChunkLength } = open;
  replyEmpty(request.context, status, {
    location: await locationOf(request, states, { ...state, place: open.place }),
    'docker-upload-uuid': state.segment,
    // What Docker expects of an upload without bytes.
    range: range === undefined || range === '0--1' ? '0-0' : range,
    ...(minChunkLength === undefined ? {} : { 'oci-chunk-min-length': minChunkLength }),
    ...(status === 204 ? {} : { 'content-length': 0 }),
  });
}

async function locationOf(request: Asked['request'], states: Through['states'], state: UploadState): Promise<string> {
  return locationIn(request, `blobs/uploads/${state.segment}`, `_state=${await states.seal(state)}`);
}

/** A 416 says where the upload goes on, so that the client can send the right bytes (distribution-spec, "Pushing a blob in chunks"). */
async function withPlace(
  error: unknown,
  { request }: Asked,
  { states }: Through,
  state: UploadState,
): Promise<unknown> {
  const failure = error as { readonly said?: { readonly status: number; readonly range?: string } };
  if (!(error instanceof Error) || failure.said?.status !== 416) return error;
  const { range } = failure.said;
  return new OciError('RANGE_INVALID', error.message, {
    headers: {
      location: await locationOf(request, states, state),
      'docker-upload-uuid': state.segment,
      ...(range === undefined ? {} : { range }),
    },
    cause: error,
  });
}

/**
 * The upload of a request, whose bytes come next by its `Content-Range`. Not every registry checks that: distribution 2.8 appends
 * them wherever they belong. Where the client and this server disagree, the upstream says how far it is.
 *
 * @throws {OciError} RANGE_INVALID, with where the upload goes on; BLOB_UPLOAD_UNKNOWN
 */
async function inOrder(asked: Asked, through: Through, range: string | undefined): Promise<UploadState> {
  const { request, origin } = asked;
  const state = await stateOf(asked, through);
  const first = Number(range?.split('-', 1)[0]);
  if (range === undefined || state.received === undefined || state.received === first) return state;
  const open = await origin.uploadStatus(request.repository, state.place, { signal: request.context.signal });
  const now = { ...state, place: open.place };
  const has = endOf(open.range);
  // `0-0` is said of one byte and of none.
  if (has === undefined || has === first || (has === 1 && first === 0)) return now;
  throw new OciError('RANGE_INVALID', `the upload has ${has} bytes, and the chunk begins at ${first}`, {
    headers: {
      location: await locationOf(request, through.states, now),
      'docker-upload-uuid': state.segment,
      range: open.range ?? '0-0',
    },
  });
}

/** Bytes by a `Range`; undefined where there is none. */
function endOf(range: string | undefined): number | undefined {
  return range === undefined ? undefined : Number(range.slice(range.indexOf('-') + 1)) + 1;
}

/** @throws {OciError} BLOB_UPLOAD_UNKNOWN for an upload of another repository, principal or upstream, and for one that this server does not know */
async function stateOf({ request, gate, origin }: Asked, { states }: Through): Promise<UploadState> {
  const { context, repository, path } = request;
  const sealed = new URLSearchParams(context.query).get('_state') ?? '';
  const state = await states.open(sealed);
  const isOurs =
    state !== undefined &&
    state.segment === path.session &&
    state.repository.registry === repository.registry &&
    state.repository.repository === repository.repository &&
    state.principal === nameOf(gate.principal) &&
    state.upstream === origin.upstream;
  if (isOurs) return state;
  throw new OciError('BLOB_UPLOAD_UNKNOWN', 'there is no such upload; start another one');
}

/**
 * The mount that a request asks for; undefined where it is an upload like any other: without a repository to mount from, which the
 * upstream would choose by the rights of this server, or where the client may not pull from there.
 */
async function mountIn(
  { request, gate }: Asked,
  query: URLSearchParams,
  { cache, isHosted }: Through,
): Promise<{ readonly digest: Digest; readonly from: Repository } | undefined> {
  const digest = parseDigest(query.get('mount') ?? '');
  const from = sourceOf(request, query.get('from') ?? '');
  if (digest === undefined || from === undefined || isHosted?.(from) === true) return undefined;
  const decision = gate.authorize({ principal: gate.principal, action: 'pull', repository: from });
  if (!decision.allowed) return undefined;
  if (decision.onlyPublic === true) {
    const path = { kind: 'blob', repository: from.repository, digest } as const;
    const isOpen = await isPublic({ ...request, repository: from, path }, cache).catch(() => false);
    if (!isOpen) return undefined;
  }
  return { digest, from };
}

/** The repository that `from` names as the client spells names: with the registry in front where its own path has it there. */
function sourceOf({ name: { addressing, registry } }: Asked['request'], from: string): Repository | undefined {
  const front = addressing.prefix.slice(addressing.prefix.indexOf('/v2/') + '/v2/'.length);
  if (!from.startsWith(front)) return undefined;
  const name = from.slice(front.length);
  if (!isRepositoryName(name)) return undefined;
  return { registry: registry.name, repository: qualifyRepository(registry, name) };
}

/** @throws {OciError} DIGEST_INVALID */
function digestIn(query: URLSearchParams): Digest | undefined {
  const text = query.get('digest');
  if (text === null) return undefined;
  const digest = parseDigest(text);
  if (digest !== undefined) return digest;
  throw new OciError('DIGEST_INVALID', 'the digest is not sha256: or sha512: with its hexadecimal characters');
}

/** @throws {OciError} DIGEST_INVALID for an algorithm that is not registered */
function algorithmIn(query: URLSearchParams): DigestAlgorithm | undefined {
  const text = query.get('digest-algorithm');
  if (text === null) return undefined;
  if (text === 'sha256' || text === 'sha512') return text;
  throw new OciError('DIGEST_INVALID', 'digest-algorithm is neither sha256 nor sha512');
}

function algorithmOf(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512') ? 'sha512' : 'sha256';
}

const NO_BYTES: PushBody = { length: 0, source: byteSourceOf([]) };

/**
 * `100-199` of a `Content-Range`: without a unit by the specification, with `bytes` and a size by RFC 9110.
 * Undefined without a body.
 *
 * @throws {OciError} BLOB_UPLOAD_INVALID, RANGE_INVALID
 */
function rangeOf({ hasBody, request: { headers } }: RequestContext): string | undefined {
  const { 'content-range': header, 'content-length': announced, 'transfer-encoding': encoding } = headers;
  if (header === undefined || !hasBody) return undefined;
  const length = encoding === undefined ? Number(announced) : undefined;
  const [, first = '', last = ''] =
    /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/.exec(header.trim()) ?? [];
  if (first === '') throw new OciError('BLOB_UPLOAD_INVALID', 'Content-Range is not FIRST-LAST, as in 0-1023');
  const size = Number(last) - Number(first) + 1;
  if (size < 1) throw new OciError('RANGE_INVALID', `Content-Range ends before it begins: ${first}-${last}`);
  if (length !== undefined && length !== size) {
    throw new OciError('SIZE_INVALID', `Content-Range has ${size} bytes, and the body has ${length}`);
  }
  return `${first}-${last}`;
}
