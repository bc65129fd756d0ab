import type { UnknownFiles } from '../../../admin/index.ts';
import { count } from '../../format.ts';

/** What an operator is told of files that other programs have put into the cache directory; no line where there are none. */
export function formatUnknown(unknown: UnknownFiles): readonly string[] {
  if (unknown === undefined || unknown.count === 0) return [];
  const { names } = unknown;
  // As in JSON: a name may hold a line feed.
  const listed = names.map((name) => JSON.stringify(name)).join(', ');
  const more = unknown.count > names.length ? ', …' : '';
  const found = `${count(unknown.count, 'unknown file')} in the cache directory: ${listed}${more}.`;
  return [`${found} They are of other programs and are never deleted: move them elsewhere.`];
}
