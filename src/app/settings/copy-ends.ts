import type { HostingRules } from '../../hosting/index.ts';
import { OciError, type Reference, type Repository } from '../../oci/index.ts';
import { type Catalogue, parseImagePattern } from '../../routing/index.ts';
import { type OneImage, oneImage } from './one-image.ts';

/** What is copied, and where it goes, as an operator names it. */
export interface CopyNames {
  readonly from: string;
  readonly to: string;
  /** True: every tag of the one repository, to the other. */
  readonly allTags: boolean;
}

/** Both ends of a copy. With `allTags`, only their repositories count. */
export interface CopyEnds {
  readonly source: OneImage;
  /** Without a tag of its own, it has that of the source. */
  readonly destination: OneImage;
}

/** @throws {OciError} where a name is not one image of a registry of this server, or the two do not fit */
export function copyEndsOf({ from, to, allTags }: CopyNames, catalogue: Catalogue): CopyEnds {
  const source = oneImage(from, catalogue);
  const destination = oneImage(to, catalogue);
  if (allTags && (isNamed(from, catalogue) || isNamed(to, catalogue))) {
    throw new OciError(
      'NAME_INVALID',
      'all tags are copied from a repository to a repository; leave out tag and digest',
    );
  }
  const reference = isNamed(to, catalogue) ? destination.reference : source.reference;
  requireDigest(source, reference, to);
  const text = copyText(destination.repository, reference);
  return { source, destination: { text, repository: destination.repository, reference } };
}

/** Whether a name has a tag or a digest. */
function isNamed(text: string, catalogue: Catalogue): boolean {
  const { tag, digest } = parseImagePattern(catalogue, text);
  return tag !== undefined || digest !== undefined;
}

function requireDigest({ reference }: OneImage, to: Reference, text: string): void {
  if (to.kind === 'tag' || (reference.kind === 'digest' && reference.digest === to.digest)) return;
  const message = `${JSON.stringify(text.slice(0, 200))} names a digest, which the copy may not have; name a tag, or the same digest on both sides`;
  throw new OciError('NAME_INVALID', message);
}

/** Why nothing can be copied to a repository, with what to write; undefined where it can. */
export function destinationFault(repository: Repository, rules: HostingRules): string | undefined {
  if (rules.homeOf(repository) !== 'mirrored') return undefined;
  const pattern = JSON.stringify(repository.repository);
  return `${nameOf(repository)} takes no copy: it is mirrored. To copy to its upstream, write \`registries: {${repository.registry}: {push: [${pattern}]}}\` with credentials that may push; to keep it here, write \`hosted: [${pattern}]\` there`;
}

/**
 * Why a copy would change nothing; undefined where it may. An upstream that takes pushes can lack what the next one of its registry
 * has; a hosted repository is one place.
 */
export function sameEndsFault(
  { source, destination }: CopyEnds,
  { allTags, catalogue, rules }: Pick<CopyNames, 'allTags'> & { catalogue: Catalogue; rules: HostingRules },
): string | undefined {
  const { repository } = source;
  const isSame = allTags
    ? nameOf(repository) === nameOf(destination.repository)
    : copyText(repository, source.reference) === destination.text;
  const isHosted = rules.homeOf(repository) === 'here';
  const isTiered = !isHosted && (catalogue.byName(repository.registry)?.upstreams.length ?? 0) > 1;
  return isSame && !isTiered
    ? `${nameOf(repository)} is both the source and the destination; name two repositories`
    : undefined;
}

export function nameOf({ registry, repository }: Repository): string {
  return `${registry}/${repository}`;
}

/** An image, completed. */
export function copyText(repository: Repository, reference: Reference): string {
  return reference.kind === 'tag'
    ? `${nameOf(repository)}:${reference.tag}`
    : `${nameOf(repository)}@${reference.digest}`;
}
