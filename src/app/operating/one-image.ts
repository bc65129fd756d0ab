import { OciError, type Reference, type Repository } from '../../oci/index.ts';
import { type Catalogue, parseImagePattern } from '../../routing/index.ts';

/** One image that an operator has named. */
export interface OneImage {
  /** Completed: `docker.io/library/nginx:latest`. */
  readonly text: string;
  readonly repository: Repository;
  readonly reference: Reference;
}

/** @throws {OciError} where the text is not one image of a registry of this server */
export function oneImage(text: string, catalogue: Catalogue): OneImage {
  const { repository: name, tag, digest, text: completed } = parseImagePattern(catalogue, text);
  if (name === undefined || /[*?]/.test(`${name}${tag ?? ''}`)) {
    const message = `${JSON.stringify(text.slice(0, 200))} is not one image; name a tag or a digest, such as docker.io/library/nginx:1.27`;
    throw new OciError('NAME_INVALID', message);
  }
  const slash = name.indexOf('/');
  const registry = catalogue.byName(name.slice(0, slash));
  if (registry === undefined) {
    const message = `${name.slice(0, slash)} is no registry of this server; add it under registries, or name another`;
    throw new OciError('NAME_UNKNOWN', message);
  }
  const repository = { registry: registry.name, repository: name.slice(slash + 1) };
  const reference =
    digest === undefined ? { kind: 'tag' as const, tag: tag ?? 'latest' } : { kind: 'digest' as const, digest };
  const shown = digest === undefined && tag === undefined ? `${completed}:latest` : completed;
  return { text: shown, repository, reference };
}
