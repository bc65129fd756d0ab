import * as z from 'zod';
import { nearest } from '../../lib/index.ts';
import { type ConfigProblem, formatKey, formatProblem } from '../problems.ts';
import {
  alternatives,
  core,
  formatOption,
  isMarked,
  markOf,
  type Option,
  outline,
  REDACTED,
  redactValue,
  schemasAt,
} from '../schema/index.ts';
import { isNull, type Path, sourceAt, type Tree, treeAt } from '../tree.ts';
import { substituteFor } from './foreign-options.ts';
import { hintFor } from './hints.ts';
import { blankness, shapeOf } from './secrets.ts';

type Issue = z.core.$ZodIssue;

/** Longest piece of a value quoted in a message. */
const MAX_QUOTE = 60;

/**
 * Turns the issues of zod into our own messages: the value found, and the value expected.
 *
 * For a value that matches no branch of a union, zod lists the issues of each branch. Only those of the branch that the
 * operator meant are reported, which the type of the value tells.
 */
export function explainIssues(
  issues: readonly Issue[],
  { schema, settings }: { readonly schema: z.ZodType; readonly settings: Tree | undefined },
): readonly ConfigProblem[] {
  const problems = issues.flatMap((issue) => explain(issue, { root: schema, schema, base: [], settings }));
  // zod applies the checks of a length to a value of another type too, and so may report one value twice.
  return [...new Map(problems.map((problem) => [formatProblem(problem), problem])).values()];
}

interface Context {
  readonly root: z.ZodType;
  /** The schema that the paths of issues start from, and its own path. */
  readonly schema: z.ZodType;
  readonly base: Path;
  readonly settings: Tree | undefined;
}

function explain(issue: Issue, context: Context): readonly ConfigProblem[] {
  const path = [...context.base, ...issue.path];
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownOption([...path, key], issue, context));
  if (issue.code === 'invalid_key') return [invalidKey(path, issue, context)];
  const schema = descend(context.schema, issue.path);
  if (issue.code === 'invalid_union' && schema !== undefined && markOf(schema)?.secret !== true) {
    const inner = core(schema);
    const picked = inner instanceof z.ZodUnion ? pickBranch(issue.errors) : undefined;
    const branch = picked === undefined ? undefined : (inner as z.ZodUnion).options[picked];
    if (picked !== undefined && branch !== undefined) {
      const deeper = { ...context, schema: branch as z.ZodType, base: path };
      return (issue.errors[picked] ?? []).flatMap((each) => explain(each, deeper));
    }
  }
  return [wrongValue(path, schema, context)];
}

function wrongValue(path: Path, schema: z.ZodType | undefined, context: Context): ConfigProblem {
  const expected = schema === undefined ? 'another value' : describeExpected(schema);
  const found = describeFound(path, context);
  const written = treeAt(context.settings, path);
  const isSecret = schema !== undefined && markOf(schema)?.secret === true;
  const hint = written === undefined || schema === undefined || isSecret ? undefined : hintFor(written, schema);
  const blank = blankSecret(path, context);
  const what = blank ?? (found === undefined ? 'missing' : `found ${found}`);
  const remedy = blank !== undefined && path.includes('credentials') ? REMOVE_CREDENTIALS : hint;
  const message = `${what}, expected ${expected}${remedy === undefined ? '' : `; ${remedy}`}`;
  return { source: sourceAt(context.settings, path), key: formatKey(path), message };
}

const REMOVE_CREDENTIALS = 'or remove credentials, for anonymous requests';

function unknownOption(path: Path, issue: Issue, context: Context): ConfigProblem {
  const word = String(path.at(-1));
  const owner = descend(context.schema, issue.path);
  const known = owner === undefined ? [] : keysOf(owner);
  const source = sourceAt(context.settings, path);
  const key = formatKey(path);
  // The option exists, but in another branch than the rest of the map: `{env: …, file: …}`.
  if (schemasAt(context.root, path).length > 0) {
    const beside = writtenBeside(path, context).filter((each) => known.includes(each));
    return { source, key, message: `cannot stand beside ${beside.join(', ')}; expected one or the other` };
  }
  const substitute = substituteFor(path, known);
  if (substitute !== undefined) return { source, key, message: `unknown option; write ${substitute} instead` };
  const meant = nearest(word, known);
  const elsewhere = meant === undefined ? findElsewhere(path, outline(context.root)) : undefined;
  let hint = known.length > 0 ? `; expected one of ${known.join(', ')}` : '';
  if (meant !== undefined) hint = `; did you mean "${meant}"?`;
  else if (elsewhere !== undefined)
    hint = `; "${word}" belongs under ${formatOption(elsewhere.slice(0, -1)) || 'the top level'}`;
  return { source, key, message: `unknown option${hint}` };
}

/** The keys of the map that a path leads into. */
function writtenBeside(path: Path, { settings }: Context): readonly string[] {
  const map = treeAt(settings, path.slice(0, -1));
  return map?.kind === 'map' ? [...map.entries.keys()] : [];
}

function invalidKey(path: Path, issue: Issue, context: Context): ConfigProblem {
  const owner = descend(context.schema, issue.path.slice(0, -1));
  const inner = owner === undefined ? undefined : core(owner);
  const expected = inner instanceof z.ZodRecord ? describeExpected(inner.keyType as z.ZodType) : 'another name';
  const message = `found the name ${quote(String(path.at(-1)))}, expected ${expected}`;
  return { source: sourceAt(context.settings, path), key: formatKey(path.slice(0, -1)), message };
}

/** The branch that the value was meant for; undefined if its type fits none. */
function pickBranch(branches: readonly (readonly Issue[])[]): number | undefined {
  let picked: number | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const [index, issues] of branches.entries()) {
    if (issues.some(isOtherType)) continue;
    const weight = issues.reduce((sum, issue) => sum + ('keys' in issue ? issue.keys.length : 1), 0);
    if (weight < least) {
      picked = index;
      least = weight;
    }
  }
  return picked;
}

/** Whether the value as a whole has another type than the branch. */
function isOtherType(issue: Issue): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === 'invalid_union') return issue.errors.every((issues) => issues.some(isOtherType));
  return issue.code === 'invalid_type' || issue.code === 'invalid_value';
}

/**
 * The schema of an issue. Its path may lead through a union: if only one branch fits the type of the value, zod reports
 * the issues of that branch as if there were no union.
 */
function descend(schema: z.ZodType, path: Path): z.ZodType | undefined {
  return schemasAt(schema, path)[0];
}

function keysOf(schema: z.ZodType): readonly string[] {
  return alternatives(schema).flatMap((branch) => (branch instanceof z.ZodObject ? Object.keys(branch.shape) : []));
}

/**
 * An option of the same name in another place: people remember a name more often than its section. First those of the same
 * section, then the shallowest: `dir` is first of all that of the cache.
 */
function findElsewhere(path: Path, options: readonly Option[]): readonly string[] | undefined {
  const [section] = path;
  const found = optionsNamed(String(path.at(-1)), options);
  const own = found.filter(([first]) => first === section);
  return (own.length > 0 ? own : found).toSorted((a, b) => a.length - b.length)[0];
}

function optionsNamed(word: string, options: readonly Option[]): readonly (readonly string[])[] {
  return options.flatMap(({ path, options: inner }) => [
    ...(path.at(-1) === word ? [path] : []),
    ...optionsNamed(word, inner),
  ]);
}

function describeExpected(schema: z.ZodType): string {
  const mark = markOf(schema);
  if (mark !== undefined) return mark.expected;
  const inner = core(schema);
  if (inner instanceof z.ZodObject) return `a map of ${Object.keys(inner.shape).join(', ')}`;
  if (inner instanceof z.ZodUnion) return inner.options.map((each) => describeExpected(each as z.ZodType)).join(' or ');
  if (!(inner instanceof z.ZodArray)) return 'another value';
  return `a list, each item ${describeExpected(inner.element as z.ZodType)}`;
}

/** `the password is empty`, where a secret is; undefined for any other value. */
function blankSecret(path: Path, { root, settings }: Context): string | undefined {
  const found = treeAt(settings, path);
  const isSecret = typeof path.at(-1) === 'string' && isMarked(root, path, 'secret');
  if (!isSecret || found?.kind !== 'scalar' || typeof found.value !== 'string') return undefined;
  const blank = blankness(found.value);
  return blank === undefined ? undefined : `the ${String(path.at(-1))} ${blank}`;
}

/** The value at a path as messages show it, shortened and without secrets; undefined if there is none. */
function describeFound(path: Path, { root, settings }: Context): string | undefined {
  const found = treeAt(settings, path);
  if (found === undefined) return undefined;
  if (found.kind === 'map') return found.entries.size === 0 ? 'an empty map' : 'a map';
  if (found.kind === 'list') return found.items.length === 0 ? 'an empty list' : 'a list';
  if (isNull(found)) return path.length > 0 && typeof path.at(-1) !== 'number' ? undefined : 'nothing';
  const shown = redactValue(root, path, found.value);
  const shape = shown === REDACTED ? shapeOf(found.value) : undefined;
  if (shape !== undefined) return shape;
  return typeof shown === 'string' ? quote(shown) : String(shown);
}

function quote(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTE ? `${text.slice(0, MAX_QUOTE)}…` : text);
}
