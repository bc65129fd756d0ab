import { configSchema, isEmptyMap, isSection, type Option, outline } from '../schema/index.ts';

const WIDTH = 110;

/**
 * A configuration file with all defaults, each option explained. An option without a default is shown by a commented-out
 * example.
 *
 * Formatted by hand instead of by `yaml`: most of the text is comments.
 */
export function defaultFile(): string {
  const head = [
    '# The configuration of entrepot, as it is without a file. Keep what you change: everything has its default.',
    '# Lengths of time are written 500ms, 30s, 10m, 1h30m; sizes 50GB (10^9) or 50GiB (2^30).',
    '',
  ];
  return `${[...head, ...outline(configSchema).flatMap((option) => [...section(option, ''), ''])].join('\n').trimEnd()}\n`;
}

function section(option: Option, indent: string): readonly string[] {
  const key = option.path.at(-1) ?? '';
  if (option.description.startsWith('Accepted without effect')) return [];
  const comment = wrap(option.description, WIDTH - indent.length - 2).map((line) => `${indent}# ${line}`);
  if (option.fallback !== undefined && isSection(option.options) && isEmptyMap(option.fallback)) {
    return [...comment, `${indent}${key}:`, ...option.options.flatMap((inner) => section(inner, `${indent}  `))];
  }
  if (option.fallback !== undefined && option.examples.length === 0) {
    return [...comment, `${indent}${key}: ${flow(option.fallback)}`];
  }
  return [...comment, `${indent}# ${key}: ${flow(option.examples[0])}`];
}

/** A value on one line, in YAML with no more quotes than it needs. */
function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value).map(([key, inner]) => `${key}: ${flow(inner)}`);
    return `{${pairs.join(', ')}}`;
  }
  const text = String(value);
  return typeof value !== 'string' || /^[A-Za-z0-9./][A-Za-z0-9./:@_-]*$/.test(text) ? text : JSON.stringify(text);
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
