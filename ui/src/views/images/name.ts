/** Whether a name has a tag or a digest: `docker.io/library/nginx:1.27`. A colon before the last slash is of a port. */
export function isImage(name: string): boolean {
  return /[:@]/.test(name.slice(name.lastIndexOf('/') + 1));
}

/** The parts of `docker.io/library/nginx:1.27` or `docker.io/library/nginx@sha256:…`. */
export function splitImage(image: string): {
  /** `docker.io/library/nginx` */
  readonly name: string;
  readonly registry: string;
  /** Without the registry. */
  readonly repository: string;
  /** A tag or a digest; empty where there is none. */
  readonly reference: string;
  readonly isDigest: boolean;
} {
  const at = image.indexOf('@');
  const whole = at === -1 ? image : image.slice(0, at);
  const last = whole.lastIndexOf('/') + 1;
  const colon = whole.indexOf(':', last);
  const name = colon === -1 ? whole : whole.slice(0, colon);
  const slash = name.indexOf('/');
  const tag = colon === -1 ? '' : whole.slice(colon + 1);
  return {
    name,
    registry: name.slice(0, slash),
    repository: name.slice(slash + 1),
    reference: at === -1 ? tag : image.slice(at + 1),
    isDigest: at !== -1,
  };
}

/** The name of one entry of a repository: by its tag, or by its digest where it has none. */
export function nameOfEntry(
  repository: string,
  { tag, digest }: { readonly tag: string; readonly digest: string },
): string {
  return tag === '' ? `${repository}@${digest}` : `${repository}:${tag}`;
}
