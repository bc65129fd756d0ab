import type { Digest } from '../oci/index.ts';
import type { RequestContext } from '../server/index.ts';

/** True where the client has it already and sent a condition: containerd takes an unrequested 304 for an error. */
export function isUnchanged(context: RequestContext, digest: Digest): boolean {
  const condition = context.request.headers['if-none-match'];
  if (condition === undefined) return false;
  return condition.split(',', 64).some((etag) => etag.trim().replace(/^W\//, '') === `"${digest}"`);
}

/** The `Range` header, unless `If-Range` names another entity than this blob (RFC 9110 §13.1.5). */
export function rangeOf(context: RequestContext, digest: Digest): string | undefined {
  const { range } = context.request.headers;
  const condition = context.request.headers['if-range'];
  return condition === undefined || condition === `"${digest}"` ? range : undefined;
}
