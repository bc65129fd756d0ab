import type { Via } from '../lib/index.ts';
import type { HttpHead, WrittenUrl } from '../net/index.ts';
import type { UploadPlace, Visibility } from '../oci/index.ts';
import type { RedirectTarget } from './redirects/index.ts';
import type { SentBody } from './sent-body.ts';

/**
 * What a request is for. Registries limit each kind separately: `pull` is a GET of a manifest, the only kind that most of
 * them count; `check` a HEAD of a manifest; `list` tags, catalogue or referrers; `blob` a GET or HEAD of a blob; `push` whatever
 * changes a repository, and the state of an upload.
 */
export type RequestKind = 'pull' | 'check' | 'list' | 'blob' | 'push';

export interface UpstreamRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** After the upstream's URL: `/v2/library/nginx/manifests/latest`, with its query. */
  readonly path: string;
  /** The token scope it needs, where a challenge names none. */
  readonly scope: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly kind: RequestKind;
  /** Which redirects are followed; any other is the answer. @default every redirect */
  readonly follow?: (status: number) => boolean;
  /** Sent as a client would: without credential, token or the operator's headers. */
  readonly anonymous?: boolean;
  /**
   * The servers behind the request; sent as `Via`, to redirect targets too: one of them may be a mirror of this server. Servers
   * that compress nothing for a `Via`, as nginx does, lose nothing here: content is requested as it is. @default none
   */
  readonly via?: Via | undefined;
  /**
   * Only the login is tested: a challenge is answered without the repository in its scope. Some registries name a
   * placeholder (`repository:user/image:pull`), for which no token is granted.
   */
  readonly loginOnly?: boolean;
  /** Its own scope is asked for besides that of a challenge. @default only where it changes something */
  readonly insists?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** A request that changes something at the upstream. */
export interface PushRequest extends UpstreamRequest {
  readonly kind: 'push';
  /** Sent there in place of `path`; with credential and headers only where that is the upstream's own origin. */
  readonly at?: UploadPlace | undefined;
  readonly body?: SentBody | undefined;
  /** The upstream may have much to do before it answers: it puts together and hashes a blob. @default false */
  readonly isLong?: boolean;
}

/** The last answer of a request's chain of redirects, with the URL that gave it. */
export interface UpstreamResponse<T extends HttpHead> extends WrittenUrl {
  readonly reply: T;
  /** A redirect led to it. */
  readonly redirected: boolean;
  readonly visibility: Visibility;
  /** The chain never left the private network. */
  readonly privateNetwork: boolean;
  /** Where the chain has left the upstream's origin: where another request can begin in its place. */
  readonly away: RedirectTarget | undefined;
  /** Milliseconds that the answers of the chain took to come, without connecting and without tokens. @default not measured */
  readonly respondedMs?: number | undefined;
}

/** The token scope for pulls of a repository (distribution, "Token scope"). */
export function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}

/** The token scopes for pushes to a repository, and for a mount from another one. */
export function pushScope(repository: string, mountFrom?: string): string {
  const own = `repository:${repository}:pull,push`;
  return mountFrom === undefined || mountFrom === repository ? own : `${own} ${pullScope(mountFrom)}`;
}

/** The token scope for what is deleted in a repository. */
export function deleteScope(repository: string): string {
  return `repository:${repository}:delete`;
}

/** The scope of what is read in a repository, before a push or not. */
export function scopeOf({
  repository,
  isForPush = false,
}: {
  readonly repository: string;
  readonly isForPush?: boolean;
}): Pick<UpstreamRequest, 'scope' | 'insists'> {
  return isForPush ? { scope: pushScope(repository), insists: true } : { scope: pullScope(repository) };
}

/** The token scope of the catalogue. */
export const CATALOG_SCOPE = 'registry:catalog:*';
