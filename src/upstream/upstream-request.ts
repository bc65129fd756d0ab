import type { Via } from '../lib/index.ts';
import type { HttpHead, WrittenUrl } from '../net/index.ts';
import type { Visibility } from '../oci/index.ts';

/**
 * What a request is for. Registries limit each kind separately: `pull` is a GET of a manifest, the only kind that most of
 * them count; `check` a HEAD of a manifest; `list` tags, catalogue or referrers; `blob` a GET or HEAD of a blob.
 */
export type RequestKind = 'pull' | 'check' | 'list' | 'blob';

export interface UpstreamRequest {
  readonly method: 'GET' | 'HEAD';
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
  readonly signal?: AbortSignal | undefined;
}

/** The last answer of a request's chain of redirects, with the URL that gave it. */
export interface UpstreamResponse<T extends HttpHead> extends WrittenUrl {
  readonly reply: T;
  /** A redirect led to it. */
  readonly redirected: boolean;
  readonly visibility: Visibility;
  /** The chain never left the private network. */
  readonly privateNetwork: boolean;
}

/** The token scope for pulls of a repository (distribution, "Token scope"). */
export function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}

/** The token scope of the catalogue. */
export const CATALOG_SCOPE = 'registry:catalog:*';
