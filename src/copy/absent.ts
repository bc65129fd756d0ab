import { isOriginFailure, OciError } from '../oci/index.ts';

const UNKNOWN: ReadonlySet<string> = new Set(['BLOB_UNKNOWN', 'MANIFEST_UNKNOWN', 'NAME_UNKNOWN']);

/** Whether an error says that there is no such thing. */
export function isAbsent(error: unknown): boolean {
  if (isOriginFailure(error)) return error.kind === 'not-found';
  return error instanceof OciError && UNKNOWN.has(error.code);
}

/** The answer to a question; undefined where there is no such thing. */
export async function orAbsent<T>(question: Promise<T>): Promise<T | undefined> {
  try {
    return await question;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}
