import type { AccessOutcome } from '../../telemetry/index.ts';

const MIRROR = 'mirror:';

/** Components of a path at a site that are told apart: those of an owner and a repository, or of a product and a version. */
const MIRROR_COMPONENTS = 2;

/** Characters. Names of repositories have at most 255 (distribution-spec), and principals 128. */
const MAX_TARGET = 512;
const MAX_PRINCIPAL = 256;

/**
 * What a request concerned, as a pattern of rules that matches it: `docker.io/library/nginx`, or `mirror:github/owner/app/**`
 * for all paths below two components. A registry alone stands for all of it (`catalog`). Empty where it concerns no repository.
 *
 * @returns undefined for what no pattern names exactly: a path with a wildcard in it, and names that are too long to keep
 */
export function targetOf({
  principal,
  registry,
  repository,
}: Pick<AccessOutcome, 'principal' | 'registry' | 'repository'>): string | undefined {
  if (principal.length > MAX_PRINCIPAL) return undefined;
  if (registry === undefined || repository === undefined) return '';
  if (repository === '') return registry;
  const isMirror = registry.startsWith(MIRROR);
  const place = isMirror ? firstOf(repository) : repository;
  // No name of a repository or registry has a wildcard in it.
  if (registry.length + place.length >= MAX_TARGET || (isMirror && /[*?]/.test(place))) return undefined;
  return `${registry}/${place}${place.length < repository.length ? '/**' : ''}`;
}

function firstOf(path: string): string {
  return path.split('/', MIRROR_COMPONENTS).join('/');
}
