import type { HttpHead } from '../net/index.ts';
import type { Visibility } from '../oci/index.ts';

/**
 * What a question is for. Registries count and limit them apart: `pull` is a GET of a manifest, the only one that most of
 * them count; `check` a HEAD of one; `list` tags, catalogue or referrers; `blob` anything about a blob.
 */
export type RequestKind = 'pull' | 'check' | 'list' | 'blob';

/** One question to an upstream. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'HEAD';
  /** Behind the upstream's URL: `/v2/library/nginx/manifests/latest`, with a query where there is one. */
  readonly path: string;
  /** The token scope it needs, where a challenge names none. */
  readonly scope: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly kind: RequestKind;
  /** Which redirects are followed; others are answers. @default every redirect */
  readonly follow?: (status: number) => boolean;
  /** Asks as a client without any right of ours would: no credential, no token, no header of the operator's. */
  readonly anonymous?: boolean;
  /**
   * Only who we are is of interest: a challenge is answered without the repository it may name. Some name one that stands for
   * any (`repository:user/image:pull`), for which nobody gets a token.
   */
  readonly loginOnly?: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** What came of a question: the last answer of the chain. */
export interface UpstreamResponse<T extends HttpHead> {
  readonly reply: T;
  /** Who gave it. */
  readonly url: URL;
  /** It came from where the upstream sent us. */
  readonly redirected: boolean;
  readonly visibility: Visibility;
  /** What answered is not on the public internet. */
  readonly privateNetwork: boolean;
}

/** The token scope by which a repository is pulled from (distribution, "Token scope"). */
export function pullScope(repository: string): string {
  return `repository:${repository}:pull`;
}

/** The token scope by which the catalogue is read. */
export const CATALOG_SCOPE = 'registry:catalog:*';

/**
 * True where an answer to a HEAD is about the method, not about the content: a registry without HEAD, or a storage whose
 * URL was signed for GET alone (S3 answers 403 then).
 */
export function refusesHead(answer: UpstreamResponse<HttpHead>): boolean {
  const { status } = answer.reply;
  if (status === 405 || status === 501) return true;
  return answer.redirected && (status === 400 || status === 401 || status === 403);
}
