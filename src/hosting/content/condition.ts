import type { Digest } from '../../oci/index.ts';
import { conditionFailed } from './refusals.ts';

/** The conditions of a request that changes a manifest or a tag: header fields as they came (RFC 9110, section 13.1). */
export interface Condition {
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
}

/** Entity tags of a header that are read. */
const MAX_TAGS = 64;

/** Whether a request has a condition at all. */
export function hasCondition({ ifMatch, ifNoneMatch }: Condition): boolean {
  return ifMatch !== undefined || ifNoneMatch !== undefined;
}

/**
 * Refuses where a condition does not hold. The entity tag of a manifest is its digest; that of a tag, the digest that it points to.
 *
 * @param current undefined: there is none
 * @throws {OciError} 412
 */
export function requireCondition({ ifMatch, ifNoneMatch }: Condition, current: Digest | undefined): void {
  if (ifMatch !== undefined && !isNamed(ifMatch, current)) {
    throw conditionFailed(
      current === undefined
        ? 'If-Match: there is none yet'
        : `If-Match: it is ${current} by now; pull it and try again`,
    );
  }
  if (ifNoneMatch !== undefined && isNamed(ifNoneMatch, current)) {
    throw conditionFailed(`If-None-Match: it is there, and is ${current}`);
  }
}

function isNamed(header: string, current: Digest | undefined): boolean {
  if (current === undefined) return false;
  // A weak tag never matches: the bytes of a digest are these or others.
  return header.trim() === '*' || header.split(',', MAX_TAGS).some((etag) => etag.trim() === `"${current}"`);
}
