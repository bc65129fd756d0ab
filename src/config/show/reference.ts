import { configSchema, formatOption, isEmptyMap, type Option, outline } from '../schema/index.ts';

/** The table of all options, in Markdown, for docs/configuration.md. */
export function referenceTable(): string {
  const rows = outline(configSchema).flatMap((option) => rowsOf(option));
  return ['| option | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n');
}

function rowsOf(option: Option): readonly string[] {
  const name = formatOption(option.path);
  let fallback = '';
  if (option.required) fallback = 'required';
  else if (option.fallback !== undefined && !isEmptyMap(option.fallback)) fallback = code(option.fallback);
  const cells = [`\`${name}\``, option.type, fallback, option.description];
  const row = `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  // The two forms of a secret would stand in the table wherever one can: the text says it once.
  const inner = option.type === 'secret' ? [] : option.options;
  return [row, ...inner.flatMap((each) => rowsOf(each))];
}

function code(value: unknown): string {
  return `\`${Array.isArray(value) ? JSON.stringify(value).replaceAll('"', '').replaceAll(',', ', ') : String(value)}\``;
}
