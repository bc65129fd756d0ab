import { type Digest, parseDigest } from './digest.ts';

/** A manifest's tag, which may move, or digest, which never does. */
export type Reference =
  | { readonly kind: 'tag'; readonly tag: string }
  | { readonly kind: 'digest'; readonly digest: Digest };

/** One repository of one registry, by their canonical names (`docker.io`, `library/nginx`). */
export interface Repository {
  readonly registry: string;
  readonly repository: string;
}

/**
 * `public`: fetched without a credential of ours; `private`: with one. Recorded with every name, so that access control
 * needs no new schema.
 */
export type Visibility = 'public' | 'private';

/** Host and repository name together may have 255 characters (distribution-spec, Pull). */
export const MAX_NAME_LENGTH = 255;

// distribution-spec, "Pulling manifests": the two grammars as they stand there.
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && NAME.test(text);
}

export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Reads a tag or a digest; undefined where it is neither. A text with a colon can only be a digest. */
export function parseReference(text: string): Reference | undefined {
  if (text.includes(':')) {
    const digest = parseDigest(text);
    return digest === undefined ? undefined : { kind: 'digest', digest };
  }
  return isTag(text) ? { kind: 'tag', tag: text } : undefined;
}

/** The reference as it stands in a URL: the tag or the digest itself. */
export function formatReference(reference: Reference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest;
}
