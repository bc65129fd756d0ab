import type { ConfigProblem, Path, Source, Tree } from '../../config/index.ts';
import { tomlPlaces } from './toml-places.ts';

/** As for YAML: far above any real configuration. */
const MAX_VALUES = 50_000;
const MAX_DEPTH = 32;

export interface ReadTree {
  /** Undefined where the text is empty or cannot be read. */
  readonly tree: Tree | undefined;
  readonly problems: readonly ConfigProblem[];
}

/** Reads TOML 1.1 into a tree with the place of each value. */
export async function readToml(text: string, sourceAt: (line: number, column: number) => Source): Promise<ReadTree> {
  const { parse, TomlError } = await import('smol-toml');
  let parsed: unknown;
  try {
    parsed = parse(text, { maxDepth: MAX_DEPTH, integersAsBigInt: 'asNeeded' });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // The lines after the first quote the text.
    const reason = error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '') ?? '';
    const message = `cannot be read as TOML: ${reason}`;
    return { tree: undefined, problems: [{ source: sourceAt(error.line, error.column), key: '', message }] };
  }
  const places = tomlPlaces(text);
  let left = MAX_VALUES;
  let isTooLarge = false;
  function convert(value: unknown, path: Path, around: Source): Tree {
    const place = places.get(path.join('\0'));
    const source = place === undefined ? around : sourceAt(place.line, place.column);
    left -= 1;
    if (left < 0 || path.length > MAX_DEPTH) {
      isTooLarge = true;
      return { kind: 'scalar', source, value: null };
    }
    if (Array.isArray(value))
      return { kind: 'list', source, items: value.map((item, at) => convert(item, [...path, at], source)) };
    if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
      const entries = Object.entries(value).map(
        ([key, inner]) => [key, convert(inner, [...path, key], source)] as const,
      );
      return { kind: 'map', source, entries: new Map(entries) };
    }
    const isPlain = typeof value === 'number' || typeof value === 'boolean';
    return { kind: 'scalar', source, value: isPlain ? value : String(value) };
  }
  const tree = convert(parsed, [], sourceAt(1, 1));
  if (!isTooLarge) return { tree, problems: [] };
  const message = `found more than ${MAX_VALUES} values or ${MAX_DEPTH} levels, expected a plainer file`;
  return { tree: undefined, problems: [{ source: sourceAt(1, 1), key: '', message }] };
}
