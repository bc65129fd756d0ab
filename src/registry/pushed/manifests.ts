import type { Condition, Hosting } from '../../hosting/index.ts';
import { isTag, MAX_MANIFEST_BYTES, OciError } from '../../oci/index.ts';
import { type PassedGate, type RequestContext, readBody, replyBytes, replyEmpty } from '../../server/index.ts';
import { isUnchanged } from '../conditions.ts';
import type { PathOf, RegistryRequest } from '../request.ts';
import { actorOf } from './actor.ts';
import { locationOf } from './location.ts';

type ManifestRequest = RegistryRequest<PathOf<'manifest'>>;

/** `GET` and `HEAD` of a hosted manifest, by tag or by digest. Its date is that of the push, which update tools read as its age. */
export async function answerHostedManifest(
  { context, repository, path: { reference } }: ManifestRequest,
  { manifests }: Hosting,
): Promise<void> {
  const { manifest, bytes } = await manifests.read(repository, reference, { head: context.isHead });
  const { digest, mediaType, size, pushedAt } = manifest;
  context.cache = 'HIT';
  context.reason = 'the repository is hosted here';
  const headers = {
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'last-modified': new Date(pushedAt).toUTCString(),
  };
  if (isUnchanged(context, digest)) return replyEmpty(context, 304, headers);
  const described = { ...headers, 'content-type': mediaType };
  if (bytes === undefined) return replyEmpty(context, 200, { ...described, 'content-length': size });
  replyBytes(context, 200, described, bytes);
}

/** `PUT` of a manifest by tag or by digest; with `?tag=`, under more tags. */
export async function pushManifest(asked: ManifestRequest, { manifests }: Hosting, gate: PassedGate): Promise<void> {
  const { context, repository, path } = asked;
  const tags = tagsIn(context);
  const bytes = await readBody(context, { limit: MAX_MANIFEST_BYTES, what: 'a manifest' });
  const { digest, subject } = await manifests.put(repository, {
    ...actorOf(context, gate),
    reference: path.reference,
    bytes,
    contentType: context.request.headers['content-type'],
    tags,
    condition: conditionOf(context),
  });
  replyEmpty(context, 201, {
    location: locationOf(asked, `manifests/${digest}`),
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    ...(subject === undefined ? {} : { 'oci-subject': subject }),
    ...(tags.length === 0 ? {} : { 'oci-tag': [...tags] }),
    'content-length': 0,
  });
}

/** `DELETE` of a manifest with its tags, or of a tag alone. */
export async function deleteManifest(
  { context, repository, path }: ManifestRequest,
  { manifests }: Hosting,
  gate: PassedGate,
): Promise<void> {
  const condition = conditionOf(context);
  await manifests.delete(repository, path.reference, { ...actorOf(context, gate), condition });
  replyEmpty(context, 202, { 'content-length': 0 });
}

/** Tags that one push may name. The specification asks for at least ten. */
const MAX_TAGS = 100;

/** The tags of `?tag=`, each once (distribution-spec, "Pushing Manifests"). @throws {OciError} */
function tagsIn({ query }: RequestContext): readonly string[] {
  if (query === '') return [];
  const tags = [...new Set(new URLSearchParams(query).getAll('tag'))];
  if (tags.length > MAX_TAGS) {
    throw new OciError('UNSUPPORTED', `one push names at most ${MAX_TAGS} tags, and this one ${tags.length}`, {
      status: 414,
      headers: { connection: 'close' },
    });
  }
  const wrong = tags.find((tag) => !isTag(tag));
  if (wrong === undefined) return tags;
  throw new OciError(
    'NAME_INVALID',
    `"${wrong.slice(0, 128)}" can be no tag: a letter, digit or _ and then up to 127 of those, . and -`,
    { headers: { connection: 'close' } },
  );
}

function conditionOf({ request }: RequestContext): Condition {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = request.headers;
  return { ifMatch, ifNoneMatch };
}
