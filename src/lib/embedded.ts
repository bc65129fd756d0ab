import { getAsset, isSea } from 'node:sea';

/**
 * The text of a file that a single executable carries; undefined where the program runs from files, or carries no such file.
 *
 * Source: nodejs.org, "Single executable applications", `sea.getAsset`.
 */
export function embeddedText(name: string): string | undefined {
  if (!isSea()) return undefined;
  try {
    return getAsset(name, 'utf8');
  } catch {
    return undefined;
  }
}
