import { nameOf } from '../../access/index.ts';
import {
  type Digest,
  digestAlgorithm,
  digestOf,
  formatReference,
  isMediaType,
  isTag,
  MAX_MANIFEST_BYTES,
  OciError,
  type PushOrigin,
  type Reference,
  type Repository,
} from '../../oci/index.ts';
import { type RequestContext, readBody, replyEmpty } from '../../server/index.ts';
import { locationIn } from './location.ts';
import type { Through, ThroughRequest } from './through-request.ts';

/** Tags of one push: the specification wants ten at least. */
const MOST_TAGS = 64;

/** `PUT` of a manifest, by tag, or by digest with any number of `?tag=`. */
export async function putManifest(
  { request, gate, origin }: ThroughRequest<'manifest'>,
  through: Through,
): Promise<void> {
  const { cache, telemetry } = through;
  const { context, repository, path } = request;
  const { reference } = path;
  const { signal } = context;
  const asked = tagsOf(context, reference);
  const mediaType = context.request.headers['content-type']?.trim() ?? '';
  const bytes = await readManifest(context);
  const digest = digestOf(bytes, reference.kind === 'digest' ? digestAlgorithm(reference.digest) : 'sha256');
  if (reference.kind === 'digest' && reference.digest !== digest) {
    throw new OciError('DIGEST_INVALID', `the manifest has the digest ${digest}`);
  }
  const wanted = reference.kind === 'tag' ? [reference.tag] : asked;
  await requireMovable(origin, repository, { tags: wanted, digest, through, signal });
  const stored = await origin.putManifest(repository, reference, {
    bytes,
    mediaType: mediaType === '' ? 'application/vnd.oci.image.manifest.v1+json' : mediaType,
    tags: asked,
    signal,
  });
  // Of the tags in the query, those that the upstream confirms: registries before them ignore them.
  const tags = reference.kind === 'tag' ? wanted : asked.filter((tag) => stored.tags.includes(tag));
  const { digest: found = digest } = stored;
  // Another digest of the same algorithm: the upstream has something else, so what was sent is not kept.
  const isSame = digestAlgorithm(found) !== digestAlgorithm(digest) || found === digest;
  const type = mediaType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const actor = { by: nameOf(gate.principal), client: context.client };
  if (isSame && isMediaType(type)) {
    const { upstream, visibility } = origin;
    const manifest = { bytes, digest, mediaType: type, size: bytes.length, upstream, visibility };
    const before = await cache.pushed.manifest(repository, manifest, tags);
    telemetry.publish('manifest.pushed', {
      ...repository,
      digest,
      mediaType: type,
      size: bytes.length,
      tags,
      ...actor,
    });
    for (const [tag, from] of before) {
      if (from !== digest) telemetry.publish('tag.moved', { ...repository, tag, digest, from, ...actor });
    }
  }
  replyEmpty(context, 201, {
    location: locationIn(request, `manifests/${found}`),
    'docker-content-digest': found,
    'content-length': 0,
    ...(stored.subject === undefined ? {} : { 'oci-subject': stored.subject }),
    ...(stored.tags.length === 0 ? {} : { 'oci-tag': [...stored.tags] }),
  });
}

/** `DELETE` of a tag, or of a manifest with the tags that point to it. */
export async function deleteManifest(
  { request, gate, origin }: ThroughRequest<'manifest'>,
  through: Through,
): Promise<void> {
  const { cache, telemetry, isImmutable, hasImmutable } = through;
  const { context, repository, path } = request;
  const { reference } = path;
  if (reference.kind === 'tag' && isImmutable?.(repository, reference.tag) === true)
    throw immutable(reference.tag, ', so it stays');
  // The upstream deletes every tag that points to it, and does not say which do.
  if (reference.kind === 'digest' && hasImmutable?.(repository) === true) {
    throw new OciError(
      'DENIED',
      'immutable_tags protects tags of this repository, and a deletion by digest would take them along; delete a tag by its name, or the manifest at the upstream',
      { status: 405, headers: { allow: 'GET, HEAD, PUT' } },
    );
  }
  await origin.deleteManifest(repository, reference, { signal: context.signal });
  const tags = await cache.forgetDeleted(repository, reference);
  const actor = { by: nameOf(gate.principal), client: context.client };
  if (reference.kind === 'digest') {
    const names = tags.map(({ tag }) => tag);
    telemetry.publish('manifest.deleted', { ...repository, digest: reference.digest, tags: names, ...actor });
  }
  for (const { tag, digest } of reference.kind === 'tag' ? tags : []) {
    telemetry.publish('tag.deleted', { ...repository, tag, digest, ...actor });
  }
  replyEmpty(context, 202, { 'content-length': 0 });
}

/** `DELETE` of a blob. */
export async function deleteBlob({ request, gate, origin }: ThroughRequest<'blob'>, through: Through): Promise<void> {
  const { context, repository, path } = request;
  const { digest } = path;
  await origin.deleteBlob(repository, digest, { signal: context.signal });
  await through.cache.forgetDeleted(repository, { kind: 'digest', digest });
  through.telemetry.publish('blob.deleted', { ...repository, digest, by: nameOf(gate.principal) });
  replyEmpty(context, 202, { 'content-length': 0 });
}

/** @throws {OciError} DENIED where a tag that never moves points elsewhere at the upstream */
async function requireMovable(
  origin: PushOrigin,
  repository: Repository,
  {
    tags,
    digest,
    through,
    signal,
  }: {
    readonly tags: readonly string[];
    readonly digest: Digest;
    readonly through: Through;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  for (const tag of tags) {
    if (through.isImmutable?.(repository, tag) !== true) continue;
    let found: Digest | undefined;
    try {
      found = (await origin.headManifest(repository, { kind: 'tag', tag }, { signal })).digest;
    } catch (error) {
      // Where it cannot be known, nothing is moved.
      if ((error as { readonly kind?: string }).kind !== 'not-found') throw error;
    }
    if (found !== undefined && found !== digest)
      throw immutable(tag, ` and points to ${found}; push under another tag`);
  }
}

function immutable(tag: string, rest: string): OciError {
  return new OciError('DENIED', `the tag ${tag} is immutable (immutable_tags)${rest}`);
}

/** The tags of `?tag=`, each once. @throws {OciError} */
function tagsOf(context: RequestContext, reference: Reference): readonly string[] {
  const tags = [...new Set(new URLSearchParams(context.query).getAll('tag'))];
  if (tags.length === 0) return tags;
  if (reference.kind === 'tag') {
    throw new OciError('MANIFEST_INVALID', `?tag= goes with a digest, not with the tag ${formatReference(reference)}`);
  }
  if (tags.length > MOST_TAGS)
    throw new OciError('MANIFEST_INVALID', `${tags.length} tags; at most ${MOST_TAGS} at a time`);
  if (!tags.every((tag) => isTag(tag))) throw new OciError('MANIFEST_INVALID', 'a tag of ?tag= can be no tag');
  return tags;
}

/** The exact bytes. @throws {OciError} as {@link readBody} */
function readManifest(context: RequestContext): Promise<Buffer> {
  if (!context.hasBody) throw new OciError('MANIFEST_INVALID', 'the manifest is missing');
  return readBody(context, { limit: MAX_MANIFEST_BYTES, what: 'a manifest' });
}
