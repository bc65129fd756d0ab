import type { Home, Uploads } from '../../hosting/index.ts';
import {
  type Digest,
  isOriginFailure,
  isRepositoryName,
  OciError,
  parseRegistryPath,
  type Repository,
} from '../../oci/index.ts';
import { type Catalogue, qualifyRepository, resolveName } from '../../routing/index.ts';
import type { PassedGate } from '../../server/index.ts';
import type { RegistryRequest } from '../request.ts';

export interface MountParts {
  readonly uploads: Uploads;
  readonly catalogue: Catalogue;
  readonly homeOf: (repository: Repository) => Home;
  /**
   * Whether the cache has a blob, and a mirrored repository has it as a member; with `onlyPublic`, whether every client may see it there
   * besides. It asks no upstream for the blob. @default no mirrored blob can be mounted
   */
  readonly mirroredBlob?:
    | ((from: Repository, digest: Digest, how: { readonly onlyPublic: boolean }) => Promise<boolean>)
    | undefined;
}

interface MountQuery {
  readonly digest: Digest;
  /** As the client names repositories; undefined: any repository. */
  readonly from: string | undefined;
}

/**
 * Mounts a blob of another repository that the client may pull. False where that cannot be, for whatever reason: the client uploads the
 * blob then, and learns nothing of what it may not see (distribution-spec, "Mounting a blob from another repository").
 *
 * @throws {OciError} DENIED where the repository would be over its quota
 */
export async function mountBlob(
  request: RegistryRequest,
  { digest, from }: MountQuery,
  { gate, parts }: { readonly gate: PassedGate; readonly parts: MountParts },
): Promise<boolean> {
  const { uploads, homeOf, mirroredBlob } = parts;
  const { repository } = request;
  const decide = (candidate: Repository) =>
    gate.authorize({ principal: gate.principal, action: 'pull', repository: candidate });
  // What is hosted is not public.
  const mayPull = (candidate: Repository): boolean => {
    const decision = decide(candidate);
    return decision.allowed && decision.onlyPublic !== true;
  };
  // Without a source, every repository would be looked up: only those that the client may pull count (CVE-2024-39897).
  if (from === undefined) return (await uploads.mount(repository, digest, mayPull)) !== undefined;
  for (const source of sourcesOf(from, request, parts.catalogue)) {
    const decision = decide(source);
    if (!decision.allowed) continue;
    if (homeOf(source) === 'here') {
      if (!mayPull(source)) continue;
      if ((await uploads.mount(repository, digest, source)) !== undefined) return true;
      continue;
    }
    const onlyPublic = decision.onlyPublic === true;
    if (mirroredBlob === undefined || !(await answersYes(mirroredBlob(source, digest, { onlyPublic })))) continue;
    if ((await uploads.take(repository, digest)) !== undefined) return true;
  }
  return false;
}

/** An upstream that does not answer is a no: the client has the bytes. */
async function answersYes(question: Promise<boolean>): Promise<boolean> {
  try {
    return await question;
  } catch (error) {
    if (isOriginFailure(error)) return false;
    throw error;
  }
}

/** Longer than any name with a registry in front. */
const MAX_FROM = 600;

/**
 * The repositories that `from` can mean: what it would mean in the path of a request of this client, with a registry in front or not; and
 * a repository of the same registry, for clients that take the registry for a part of the address.
 */
function sourcesOf(from: string, { context, name, repository }: RegistryRequest, catalogue: Catalogue): Repository[] {
  if (from.length > MAX_FROM || /[^a-zA-Z0-9._:/-]/.test(from)) return [];
  const { prefix, ns } = name.addressing;
  const front = prefix.slice(0, prefix.indexOf('/v2/') + '/v2/'.length);
  const sources: Repository[] = [];
  try {
    const found = resolveName(catalogue, { host: context.host, path: `${front}${from}/tags/list`, ns });
    const path = parseRegistryPath(found.path);
    if (path.kind === 'tags') {
      const { registry } = found;
      sources.push({ registry: registry.name, repository: qualifyRepository(registry, path.repository) });
    }
  } catch (error) {
    // A name that is none leads to no repository.
    if (!(error instanceof OciError)) throw error;
  }
  const plain = { registry: repository.registry, repository: qualifyRepository(name.registry, from) };
  const isNew = sources.every((each) => each.registry !== plain.registry || each.repository !== plain.repository);
  if (isRepositoryName(from) && isNew) sources.push(plain);
  return sources;
}
