import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml';

/** The values of the chart as a Markdown table: name, default, and the comment above it that begins with `--`. */
export function valuesTable(values: string): string {
  const { contents } = parseDocument(values);
  if (!isMap(contents)) throw new Error('values.yaml holds no map');
  const rows = rowsOf(contents, '');
  return ['| value | default | meaning |', '|---|---|---|', ...rows].join('\n');
}

function rowsOf(map: YAMLMap, above: string): string[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new Error(`${above}: expected a name`);
    const name = `${above}${String(key.value)}`;
    // The comment above the first entry of a map belongs to the map.
    const comment = key.commentBefore ?? (index === 0 ? map.commentBefore : undefined) ?? '';
    const meaning = meaningOf(comment);
    // A map in braces is one value; one in lines is a section.
    if (isMap(value) && value.flow !== true && meaning === '') return rowsOf(value, `${name}.`);
    const json = (value as { toJSON(): unknown } | null)?.toJSON() ?? null;
    return [`| \`${name}\` | \`${JSON.stringify(json)}\` | ${meaning} |`];
  });
}

function meaningOf(comment: string): string {
  const lines = comment.split('\n').map((line) => line.trim());
  const first = lines.findLastIndex((line) => line.startsWith('-- '));
  if (first === -1) return '';
  return lines.slice(first).join(' ').slice('-- '.length).replaceAll('|', '\\|');
}

/** The schema of the values with that of the configuration in it, so that `helm` refuses an unknown option. */
export function valuesSchema(current: string, configuration: object): unknown {
  const schema = JSON.parse(current) as { properties: Record<string, unknown> };
  const { $schema: _, ...config } = forGo(configuration) as { $schema?: string };
  return { ...schema, properties: { ...schema.properties, config } };
}

/** Patterns as Go's regexp reads them: other escapes, and no lookaround. What it cannot check, the server does. */
function forGo(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(forGo);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).flatMap(([key, value]): [string, unknown][] => {
    if (key !== 'pattern' || typeof value !== 'string') return [[key, forGo(value)]];
    if (/\(\?<?[=!]/.test(value)) return [];
    return [
      [key, value.replace(/\\u(?:\{([0-9a-f]+)\}|([0-9a-f]{4}))/gi, (_, long, short) => `\\x{${long ?? short}}`)],
    ];
  });
  return Object.fromEntries(entries);
}
