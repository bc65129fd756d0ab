import type { HttpHead } from '../net/index.ts';
import type { Answer } from './upstream.ts';

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
export function refusesHead(answer: Answer<HttpHead>): boolean {
  const { status } = answer.reply;
  if (status === 405 || status === 501) return true;
  return answer.redirected && (status === 400 || status === 401 || status === 403);
}
