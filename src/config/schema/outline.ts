import * as z from 'zod';
import type { Path } from '../tree.ts';
import { type OptionMeta, optionMeta } from './meta.ts';

/*
 * Walks the definition. Messages, suggestions, names of variables, the manual, the default file and the masking of secrets
 * all look options up here, so the definition is their only source.
 */

/** One option, as the manual shows it. */
export interface Option {
  /** Keys from the root; `<name>` is any key of a map, `[]` the items of a list. */
  readonly path: readonly string[];
  /** One or two words: `duration`, `URL`. */
  readonly type: string;
  /** The default as it would be written; undefined if the absence of the option has a meaning of its own. */
  readonly fallback: unknown;
  readonly required: boolean;
  readonly description: string;
  readonly examples: readonly unknown[];
  /** The options inside, if a map (or a list of maps) is a valid value. */
  readonly options: readonly Option[];
}

/** The path of an option in the manual: `registries.<name>.upstreams[].url`. */
export function formatOption(path: readonly string[]): string {
  return path.join('.').replaceAll('.[]', '[]');
}

/** Every option below a schema, in the order of the definition. */
export function outline(schema: z.ZodType, path: readonly string[] = []): readonly Option[] {
  return alternatives(schema).flatMap((branch): readonly Option[] => {
    if (branch instanceof z.ZodObject) {
      return Object.entries(branch.shape).map(([key, value]) => option(value as z.ZodType, [...path, key]));
    }
    if (branch instanceof z.ZodRecord) return outline(branch.valueType as z.ZodType, [...path, '<name>']);
    if (branch instanceof z.ZodArray) return outline(branch.element as z.ZodType, [...path, '[]']);
    return [];
  });
}

function option(schema: z.ZodType, path: readonly string[]): Option {
  const meta = schema.meta();
  const fallback = fallbackOf(schema);
  return {
    path,
    type: typeOf(schema),
    fallback,
    required: fallback === undefined && !schema.safeParse(undefined).success,
    description: meta?.description ?? '',
    examples: (meta?.['examples'] as readonly unknown[] | undefined) ?? [],
    options: outline(schema, path),
  };
}

/** The default of a schema, as it would be written. */
function fallbackOf(schema: z.ZodType): unknown {
  return schema instanceof z.ZodPrefault ? schema.def.defaultValue : undefined;
}

/** The defaults of options, as they would be written. */
export function fallbacks(options: readonly Option[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const { path, fallback, options: inner } of options) {
    const key = path.at(-1) ?? '';
    if (fallback === undefined) continue;
    values[key] = isEmptyMap(fallback) && isSection(inner) ? fallbacks(inner) : fallback;
  }
  return values;
}

/** Whether options are keys of one map with fixed keys. */
export function isSection(options: readonly Option[]): boolean {
  return options.length > 0 && options.every(({ path }) => path.at(-2) !== '<name>' && path.at(-2) !== '[]');
}

export function isEmptyMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;
}

function typeOf(schema: z.ZodType): string {
  const mark = markOf(schema);
  if (mark !== undefined) return mark.type;
  const inner = core(schema);
  if (inner instanceof z.ZodArray) return `list of ${typeOf(inner.element as z.ZodType)}`;
  return 'map';
}

/** The metadata of a schema: the outermost there is. */
export function markOf(schema: z.ZodType): OptionMeta | undefined {
  let at: z.ZodType | undefined = schema;
  while (at !== undefined) {
    const mark = optionMeta.get(at);
    if (mark !== undefined) return mark;
    at = inside(at);
  }
  return undefined;
}

/** The schema below defaults, optionality and transforms. */
export function core(schema: z.ZodType): z.ZodType {
  let at = schema;
  for (let inner = inside(at); inner !== undefined; inner = inside(at)) at = inner;
  return at;
}

function inside(schema: z.ZodType): z.ZodType | undefined {
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) return schema.def.innerType as z.ZodType;
  return schema instanceof z.ZodPipe ? (schema.def.in as z.ZodType) : undefined;
}

/** The alternatives of a schema, nested unions flattened. */
export function alternatives(schema: z.ZodType): readonly z.ZodType[] {
  const inner = core(schema);
  return inner instanceof z.ZodUnion ? inner.options.flatMap((each) => alternatives(each as z.ZodType)) : [inner];
}

/** The schema of a key or list position. Not for unions, see {@link schemasAt}. */
export function childOf(schema: z.ZodType, key: PropertyKey): z.ZodType | undefined {
  const inner = core(schema);
  if (inner instanceof z.ZodObject) {
    const shape = inner.shape as Readonly<Record<string, z.ZodType>>;
    return Object.hasOwn(shape, key) ? shape[String(key)] : undefined;
  }
  if (inner instanceof z.ZodRecord) return inner.valueType as z.ZodType;
  return inner instanceof z.ZodArray && typeof key === 'number' ? (inner.element as z.ZodType) : undefined;
}

/** All schemas that a value at a path may have. Numbers are list positions. */
export function schemasAt(root: z.ZodType, path: Path): readonly z.ZodType[] {
  let at: readonly z.ZodType[] = [root];
  for (const key of path) {
    at = at.flatMap((schema) => alternatives(schema).flatMap((branch) => childOf(branch, key) ?? []));
  }
  return at;
}

/** Whether the metadata of any schema at a path has a property. */
export function isMarked(root: z.ZodType, path: Path, property: 'secret' | 'user' | 'path'): boolean {
  return schemasAt(root, path).some((schema) => marksWithin(schema).some((mark) => mark[property] === true));
}

/** Whether the map at a path may directly contain a secret. */
export function holdsSecret(root: z.ZodType, path: Path): boolean {
  const inner = schemasAt(root, path)
    .flatMap(alternatives)
    .flatMap((each): readonly z.ZodType[] => {
      if (each instanceof z.ZodObject) return Object.values(each.shape) as z.ZodType[];
      return each instanceof z.ZodRecord ? [each.valueType as z.ZodType] : [];
    });
  return inner.some((each) => marksWithin(each).some(({ secret }) => secret === true));
}

/** The metadata of a schema and of its alternatives. */
function marksWithin(schema: z.ZodType): readonly OptionMeta[] {
  const own = markOf(schema);
  const inner = core(schema);
  const rest = inner instanceof z.ZodUnion ? inner.options.flatMap((each) => marksWithin(each as z.ZodType)) : [];
  return own === undefined ? rest : [own, ...rest];
}
